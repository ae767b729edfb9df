"""The command `new-use-case`: four files from the rows of a source."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated

import polars as pl
import typer

from cli.authoring.files import require_new, texts, write_files
from cli.authoring.measured import measured_limits, use_case_of
from cli.authoring.profile import Profile, profile
from cli.authoring.proposal import Problem, Roles, cadence, problem, roles
from cli.authoring.specification import specification
from include.errors import DataError, SpecError
from include.interval import Interval
from include.settings import PROJECT_ROOT
from include.sources.files import UNREADABLE
from include.sources.read import open_source
from include.spec import (
    NAME_PATTERN,
    Column,
    CsvSource,
    DeltaSource,
    ParquetSource,
    Source,
    SqlSource,
    Table,
)

EVER = Interval(datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))


def new_use_case(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as house_rents.")],
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="A Parquet or CSV file or folder, a Delta table, or a database's URL.",
        ),
    ],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    time: Annotated[str, typer.Option(metavar="COLUMN", help="When a row's question was asked.")],
    key: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What identifies a row; proposed if not named."),
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Whom features are about; proposed if not named."),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="The table, of a database.")
    ] = None,
) -> None:
    """Write the four files of a new use case, with limits proposed from the rows of a source.

    Each proposal says which figure it comes from. Nothing is overwritten.
    """
    if not NAME_PATTERN.match(name):
        raise SpecError(f"NAME is {name!r}; it must match {NAME_PATTERN.pattern}.")
    require_new(PROJECT_ROOT, name)
    source, arguments = _source(name, origin, table)
    proposed = propose(
        name, _rows(source), source, arguments, label=label, time=time, key=key, entity=entity
    )
    measured, parts, problem_of = proposed.profile, proposed.roles, proposed.problem
    made = write_files(PROJECT_ROOT, name, texts(name, measured, parts, problem_of, proposed.spec))
    for path in made:
        print(f"Wrote {path.relative_to(PROJECT_ROOT)}.")
    print(
        f"{problem_of.kind} of {label!r} from {measured.rows.height:,} rows: a row is"
        f" {parts.key!r}, asked at {parts.time!r}, about {parts.entity!r}."
    )
    if isinstance(source, SqlSource):
        print(f"Set {source.url_variable} to the database's URL wherever it runs.")
    print(f"Read the files, then run: .venv/bin/flightdeck check {name}")


@dataclass(frozen=True)
class Proposed:
    """What is proposed of a source, and the text of spec.py that says so."""

    profile: Profile
    roles: Roles
    problem: Problem
    spec: str


def propose(
    name: str,
    rows: pl.DataFrame,
    source: Source,
    arguments: dict[str, object],
    *,
    label: str,
    time: str,
    key: str | None = None,
    entity: str | None = None,
) -> Proposed:
    """The specification of a use case over `rows`, which `source`, declared with `arguments`, gave:
    first with the defaults, then with the limits that the rows' own intervals need.

    Raises `DataError` naming the option that the rows do not fit.
    """
    measured = profile(rows, texts=isinstance(source, CsvSource))
    parts = roles(measured, label=label, time=time, key=key, entity=entity)
    kind = problem(measured, label)
    described = (name, measured, parts, kind, cadence(measured, time))
    origin = (type(source).__name__, arguments)
    limits = measured_limits(use_case_of(specification(*described, origin)), measured)
    return Proposed(measured, parts, kind, specification(*described, origin, limits))


def _source(name: str, origin: str, table: str | None) -> tuple[Source, dict[str, object]]:
    """The source, and the arguments that spec.py declares it with."""
    if "://" in origin and not origin.startswith(("s3://", "gs://", "az://", "abfss://")):
        if table is None:
            raise DataError("--table is missing: name the table of the database.")
        variable = f"{name.upper()}_DATABASE_URL"
        os.environ[variable] = origin
        return SqlSource(url_variable=variable, table=table), {
            "url_variable": variable,
            "table": table,
        }
    path = _declared_path(origin)
    full = PROJECT_ROOT / path
    if (full / "_delta_log").is_dir():
        return DeltaSource(uri=path), {"uri": path}
    if full.suffix == ".csv" or (full.is_dir() and any(full.rglob("*.csv"))):
        separator = _separator(full if full.is_file() else next(full.rglob("*.csv")))
        extra: dict[str, object] = {} if separator == "," else {"separator": separator}
        return CsvSource(path=path, separator=separator), {"path": path, **extra}
    return ParquetSource(path=path), {"path": path}


def _declared_path(origin: str) -> str:
    """A path as the specification has it: from the checkout on where it lies there."""
    if "://" in origin:
        return origin
    full = Path(origin).expanduser().absolute()
    return str(full.relative_to(PROJECT_ROOT) if full.is_relative_to(PROJECT_ROOT) else full)


def _separator(file: Path) -> str:
    """The sign that the header holds most often."""
    with file.open(encoding="utf-8") as lines:
        header = lines.readline()
    return max((",", ";", "\t", "|"), key=header.count)


def _rows(source: Source) -> pl.DataFrame:
    # Only a stand-in: which columns there are is what is to be learned.
    at = Column(name="at", type="timestamp")
    table = Table(name="raw/new", key=("at",), columns=(at,), time_column=None)
    if isinstance(source, SqlSource):
        source = source.model_copy(update={"where": "TRUE"})  # so that all columns are read
    try:
        return open_source(source, EVER, ModuleType("data"), table).collect()
    except UNREADABLE as error:
        raise DataError(f"The source cannot be read: {error}") from error
