"""The version of Flightdeck, and which homes it may write to.

A home says which version wrote to it last: in `home.json`, beside nothing else of it that would
say so in one place. What a newer version wrote may have no place in this one, so such a home is
refused before anything of it is read. Versions that differ in their third part only share all
formats.
"""

from __future__ import annotations

import json
from pathlib import Path

from include.errors import SettingsError
from include.files import write

VERSION = "0.2.0.dev0"
"""As in pyproject.toml. Between two releases it is the next one's, with `.dev0`."""
FILE = "home.json"


def enter_home(home: Path) -> None:
    """Note in a home, which must exist, that this version writes to it.

    Raises `SettingsError` for a home that a newer version wrote to: nothing is changed there.
    """
    written = version_of(home)
    require_no_newer(written, str(home))
    if written is None or _formats(written) < _formats(VERSION):
        write(home / FILE, json.dumps({"version": VERSION}) + "\n", durable=True, mode=0o600)


def version_of(home: Path) -> str | None:
    """The newest version that wrote to a home; None where the home does not say.

    Raises `SettingsError` for a file that says nothing that can be read.
    """
    path = home / FILE
    try:
        return str(json.loads(path.read_text())["version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} does not say which version of Flightdeck wrote to the home ({error!r});"
            f' valid: {{"version": "{VERSION}"}}. Take it from a backup of the home.'
        ) from error


def require_no_newer(written: str | None, what: str) -> None:
    """Raise `SettingsError` where `what` (a home, a backup) is of a newer version than this."""
    if written is None or _formats(written) <= _formats(VERSION):
        return
    raise SettingsError(
        f"{what} was written by Flightdeck {written}, and this is {VERSION}: what the newer one"
        f" wrote may have no place here. Use Flightdeck {written} or newer; or go back to a backup"
        ' that was made before, in an empty home (docs/runbooks.md, "A newer version").'
    )


def _formats(version: str) -> tuple[int, int]:
    """What decides about formats: the first two parts. Raises `SettingsError` for no version."""
    try:
        major, minor = version.split(".")[:2]
        return int(major), int(minor)
    except ValueError:
        raise SettingsError(
            f"{version!r} is no version of Flightdeck; valid are such as {VERSION!r}."
        ) from None
