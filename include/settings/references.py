"""Secrets by reference: a setting that may hold a password may be a file's content instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from include.errors import SettingsError

FILE = "_FILE"


def resolve(variables: Mapping[str, str], variable: str, *, secret: bool) -> str | None:
    """What the variable holds, or the file that its `_FILE` names; None where neither is set.

    Raises `SettingsError` where both are set or the file cannot be read; its text never holds what
    the variable or the file does.
    """
    value = variables.get(variable)
    path = variables.get(f"{variable}{FILE}") if secret else None
    if path is None:
        return value
    if value is not None:
        raise SettingsError(
            f"{variable} and {variable}{FILE} are both set; keep one, best the file, which no list"
            " of processes shows."
        )
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(
            f"{variable}{FILE} is {path}, which cannot be read: {reason}."
        ) from None
    if not content:
        raise SettingsError(f"{variable}{FILE} is {path}, which is empty.")
    return content
