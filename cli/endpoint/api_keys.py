"""`python -m cli api-key NAME`: a new key for one caller of the endpoint.

It is shown once; the file keeps its hash.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from cli.platform.state import running_settings
from include.errors import SettingsError
from include.settings import PREFIX

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def main(arguments: Sequence[str]) -> int:
    """Add a key to the file that `FLIGHTDECK_API_KEYS_FILE` names; with `--revoke` take a caller's
    keys out again.
    """
    names = [argument for argument in arguments if argument != "--revoke"]
    if len(names) != 1 or NAME.fullmatch(names[0]) is None:
        raise SettingsError(
            "api-key takes one NAME of 1 to 64 letters, digits, '.', '_' or '-', and optionally"
            " --revoke."
        )
    settings = running_settings()
    path = settings.api_keys_file or settings.home / "keys" / "api_keys"
    if "--revoke" in arguments:
        print(f"{revoke_key(path, names[0])} keys of {names[0]} are no longer in {path}.")
        return 0
    print(add_key(path, names[0]))
    if settings.api_keys_file is None:
        print(f"The endpoint asks for keys once it is started with {PREFIX}API_KEYS_FILE={path}")
    return 0


def add_key(path: Path, name: str) -> str:
    """Make a key, append its hash to the file, return the key."""
    key = secrets.token_urlsafe(32)
    _replace(path, [*_lines(path), f"{name} {hashlib.sha256(key.encode()).hexdigest()}"])
    return key


def revoke_key(path: Path, name: str) -> int:
    """Take a caller's lines out of the file; how many there were."""
    lines = _lines(path)
    kept = [line for line in lines if line.split(" ")[0] != name]
    _replace(path, kept)
    return len(lines) - len(kept)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _replace(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    aside.chmod(0o600)
    aside.replace(path)
