"""The command `declarations`."""

from __future__ import annotations

from typing import Annotated

import typer

from include.catalogue import load_use_case, names
from include.errors import SpecError
from include.features.store import read_definitions
from include.processes.declarations import problems
from include.settings import load_settings


def declarations(
    use_cases: Annotated[
        list[str] | None,
        typer.Argument(metavar="[USE_CASE]...", help="Every use case if none is named."),
    ] = None,
) -> None:
    """Check what the use cases declare, against Feast's definitions and estimators too.

    A line per mistake with file, field, value and what is valid; exit code 1 if there is one.
    """
    settings, lines = load_settings(), []
    selected = use_cases or names()
    for name in selected:
        try:
            lines += problems(load_use_case(name), settings)
        except SpecError as error:
            lines.append(str(error))
    if not use_cases:
        lines += read_definitions(settings).refused.values()
    for line in dict.fromkeys(lines):
        print(line)
    if lines:
        raise typer.Exit(1)
    print(f"{', '.join(selected)}: what is declared can be.")
