"""The command `expectations`."""

from __future__ import annotations

from typing import Annotated

import typer

from include.catalogue import load_use_case
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
    names = use_cases or sorted(
        path.parent.name for path in (PROJECT_ROOT / "include" / "use_cases").glob("*/spec.py")
    )
    for path in [path for name in names for path in write_suites(load_use_case(name))]:
        print(path.relative_to(PROJECT_ROOT))
