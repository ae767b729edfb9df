"""The command `add-example`: a use case of `examples/` becomes one of this checkout."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from cli.authoring.files import paths, require_new
from include.errors import SpecError
from include.files import writing
from include.settings import PROJECT_ROOT
from include.spec.base import suggestion

EXAMPLES, DATA = "examples", "data"
ROWS = "rows.py"


def add_example(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="All are listed if none is named.")
    ] = None,
    *,
    rows_only: Annotated[
        bool, typer.Option("--rows-only", help="Write its rows alone, to bring them by hand.")
    ] = False,
) -> None:
    """Make an example a use case of this checkout.

    Its four files are copied to where use cases lie, and its rows are written to
    data/<name>.parquet. No file that is there is overwritten.
    """
    there = examples(PROJECT_ROOT)
    if name is None:
        for example in there:
            print(f"{example:<16} {_title(PROJECT_ROOT / EXAMPLES / example)}")
        print("Add one: .venv/bin/flightdeck add-example NAME")
        return
    if name not in there:
        raise SpecError(f"There is no example {name!r}{suggestion(name, there)}.")
    if not rows_only:
        require_new(PROJECT_ROOT, name)
    written = [write_rows(PROJECT_ROOT, name)]
    if not rows_only:
        written += copy_files(PROJECT_ROOT, name)
    for path in written:
        print(f"Wrote {path.relative_to(PROJECT_ROOT)}.")
    if not rows_only:
        print(f"Go on with: .venv/bin/flightdeck check {name}")


def examples(root: Path) -> list[str]:
    """The names of the examples."""
    return sorted(path.parent.name for path in (root / EXAMPLES).glob(f"*/{ROWS}"))


def copy_files(root: Path, name: str) -> list[Path]:
    """Write the four files of an example to where those of a use case lie."""
    made = []
    for part, path in paths(root, name).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (root / EXAMPLES / name / f"{part}.py").read_text(encoding="utf-8")
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        made.append(path)
    return made


def write_rows(root: Path, name: str) -> Path:
    """Write the example's rows as its rows.py makes them, to data/<name>.parquet."""
    rows = runpy.run_path(str(root / EXAMPLES / name / ROWS))["rows"]()
    if not isinstance(rows, pl.DataFrame):
        raise SpecError(f"{EXAMPLES}/{name}/{ROWS}: rows() must return a frame of Polars.")
    path = root / DATA / f"{name}.parquet"
    if path.exists() and not _holds(path, rows):
        raise SpecError(
            f"{path.relative_to(root)} is there and does not hold the rows of the example {name!r}:"
            " move it away first."
        )
    with writing(path) as aside:
        rows.write_parquet(aside)
    return path


def _holds(path: Path, rows: pl.DataFrame) -> bool:
    try:
        return pl.read_parquet(path).equals(rows)
    except pl.exceptions.PolarsError:
        return False


def _title(folder: Path) -> str:
    """What the example is about: the first sentence of its rows.py."""
    return (folder / ROWS).read_text(encoding="utf-8").removeprefix('"""').split(".", 1)[0]
