"""The command `expectations`."""

from __future__ import annotations

from typing import Annotated

import typer

from include.catalogue import load_use_case, names
from include.quality.expectations import write_suites
from include.settings import PROJECT_ROOT


def expectations(
    use_cases: Annotated[
        list[str] | None,
        typer.Argument(metavar="[USE_CASE]...", help="Every use case if none is named."),
    ] = None,
) -> None:
    """Write the data rules of the use cases.

    They go to include/use_cases/<name>/expectations, one JSON file per table.
    """
    selected = use_cases or names()
    for path in [path for name in selected for path in write_suites(load_use_case(name))]:
        print(path.relative_to(PROJECT_ROOT))
