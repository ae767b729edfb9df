"""Options whose valid values are names of this package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer

from include.spec.base import suggestion


def check_names(kind: str, names: Iterable[str], valid: Sequence[str]) -> None:
    """Refuse the first name that is not valid, with what was probably meant.

    Raises `typer.BadParameter`, which ends the command with 2.
    """
    for name in names:
        if name not in valid:
            raise typer.BadParameter(f"there is no {kind} {name!r}{suggestion(name, valid)}.")
