"""The command `api-key`: a new key for one caller of the endpoint.

It is shown once; the file holds its hash.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Annotated

import typer

from cli.platform.state import running_settings
from include.files import write
from include.settings import PREFIX

NAME = re.compile(r"(?!-)[A-Za-z0-9._-]{1,64}")


def api_key(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The caller: 1 to 64 letters, digits, '.', '_' or '-'."
        ),
    ],
    *,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Take the caller's keys out again instead.")
    ] = False,
) -> None:
    """Make or revoke a key.

    The key is shown once; the file that FLIGHTDECK_API_KEYS_FILE names, else var/keys/api_keys,
    holds its hash.
    """
    if NAME.fullmatch(name) is None:
        raise typer.BadParameter(
            f"{name!r} is no name of a caller; valid are 1 to 64 letters, digits, '.', '_' or '-',"
            " the first of them no '-'.",
            param_hint="NAME",
        )
    settings = running_settings()
    path = settings.api_keys_file or settings.home / "keys" / "api_keys"
    if revoke:
        print(f"{revoke_key(path, name)} keys of {name} are no longer in {path}.")
        return
    print(add_key(path, name))
    if settings.api_keys_file is None:
        print(f"The endpoint asks for keys once it is started with {PREFIX}API_KEYS_FILE={path}")


def add_key(path: Path, name: str) -> str:
    """Make a key, append its hash to the file, return the key."""
    key = secrets.token_urlsafe(32)
    _replace(path, [*_lines(path), f"{name} {hashlib.sha256(key.encode()).hexdigest()}"])
    return key


def revoke_key(path: Path, name: str) -> int:
    """Take a caller's lines out of the file; how many there were."""
    lines = _lines(path)
    others = [line for line in lines if line.split(" ")[0] != name]
    _replace(path, others)
    return len(lines) - len(others)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _replace(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(path, "".join(f"{line}\n" for line in lines), mode=0o600)
