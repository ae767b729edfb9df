"""Programs that look after the product and are no part of it, in an environment of their own: what
`requirements-tools.txt` locks, installed at the first use.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from include.errors import PlatformError
from include.files import publishing
from include.settings import PROJECT_ROOT, Settings

LOCK = PROJECT_ROOT / "requirements-tools.txt"
UV = Path(sys.executable).with_name("uv")


def tool(settings: Settings, name: str) -> Path:
    """The program of that name.

    Raises `PlatformError` where the tools cannot be installed.
    """
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = settings.home / "cache" / f"tools-{key}"
    if not folder.is_dir():
        try:
            with publishing(folder, replace=False) as aside:
                _install(aside)
        except FileExistsError:
            pass  # another process was faster
    return folder / "bin" / name


def _install(folder: Path) -> None:
    # Relocatable: it is made under another name than it is used by.
    _run("venv", "--quiet", "--relocatable", "--allow-existing", "--python", sys.executable, folder)
    options = ("--quiet", "--system-certs", "--require-hashes", "--python", folder / "bin/python")
    _run("pip", "install", *options, "-r", LOCK)


def _run(*arguments: str | Path) -> None:
    done = subprocess.run([UV, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PlatformError(
            f"the tools that {LOCK.name} locks cannot be installed:"
            f" {done.stderr.strip()[-500:]}. Is there a network?"
        )
