"""Where the platform's own files lie, and how one that holds a secret is made."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cli.platform.state import run_dir
from include import files
from include.errors import PlatformError
from include.settings import Settings

LONGEST_SOCKET_FOLDER = 84
"""In bytes; the name of a socket may be 20 more before systems cut it off."""


def airflow_home(settings: Settings) -> Path:
    """Folder of Airflow's database, configuration and secrets."""
    return settings.home / "airflow"


def log_dir(settings: Settings) -> Path:
    """Folder of every log file."""
    return settings.home / "log"


def socket_folder(settings: Settings) -> Path:
    """Where the platform's sockets lie: in the home, or under the temporary folder where the home's
    path is too long for one, or holds a comma, at which PostgreSQL's clients would divide it.
    """
    folder = run_dir(settings)
    if len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER and "," not in str(folder):
        return folder
    digest = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"flightdeck-{os.getuid()}-{digest}"


def make_socket_folder(settings: Settings) -> None:
    """Make the folder of the sockets, for its owner only.

    Raises `PlatformError` where somebody else has made it in a shared temporary folder, to listen
    in.
    """
    folder = socket_folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.lstat()
    if folder != run_dir(settings) and (
        status.st_uid != os.getuid() or status.st_mode & 0o077 or not stat.S_ISDIR(status.st_mode)
    ):
        raise PlatformError(
            f"{folder} must be a folder that only you can open; remove it, or use a home with a"
            " shorter path."
        )


def remove_short_socket_folder(settings: Settings) -> None:
    """Remove the sockets' folder where it lies outside the home."""
    folder = socket_folder(settings)
    if folder != run_dir(settings) and folder.is_dir():
        with suppress(OSError):
            folder.rmdir()


def create_private(path: Path, content: dict[str, str]) -> dict[str, str]:
    """Write `content` unless the file exists, readable by its owner only; return what the file
    holds.

    The file appears complete or not at all, and of two processes that create it at once one wins
    for both.
    """
    if not path.exists():
        aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(content) + "\n")
            # What is locked with a secret must not outlive it in a power cut.
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
        files.sync(path.parent)
    stored: dict[str, str] = json.loads(path.read_text())
    return stored
