"""Secrets by reference: a setting that may hold a password may be a file's content instead, or what
Airflow's secrets backend has under a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from include.errors import SettingsError

FILE, SECRET = "_FILE", "_SECRET"

Backend = Callable[[str, str], str]
"""What a secrets backend has: of a variable, for errors, and of the name that it holds."""


def resolve(
    variables: Mapping[str, str], variable: str, *, secret: bool, backend: Backend | None = None
) -> str | None:
    """What the variable holds, or the file that its `_FILE` names, or what the backend has under
    the name in its `_SECRET`; None where none is set. Without a backend the last is not read.

    Raises `SettingsError` where more than one is set, or what is referred to cannot be read; its
    text never holds what the variable, the file or the backend does.
    """
    suffixes = ("", *([FILE] if secret else ()), *([SECRET] if secret and backend else ()))
    present = [f"{variable}{suffix}" for suffix in suffixes if f"{variable}{suffix}" in variables]
    if len(present) > 1:
        raise SettingsError(
            f"{' and '.join(present)} are {'both' if len(present) == 2 else 'all'} set; keep one,"
            " best the file or the secret's name, which no list of processes shows."
        )
    if not present:
        return None
    chosen = present[0]
    if chosen == variable:
        return variables[chosen]
    if chosen.endswith(FILE):
        return _content(chosen, variables[chosen])
    return None if backend is None else backend(chosen, variables[chosen])


def _content(variable: str, path: str) -> str:
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"{variable} is {path}, which cannot be read: {reason}.") from None
    if not content:
        raise SettingsError(f"{variable} is {path}, which is empty.")
    return content
