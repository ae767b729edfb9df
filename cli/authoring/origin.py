"""Where the rows of a new use case come from: what `--from` names, as a source of include.spec."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import polars as pl

from include.errors import DataError
from include.interval import Interval
from include.settings import PROJECT_ROOT
from include.sources.files import PATTERN, UNREADABLE, files_of_pattern, what_is_missing
from include.sources.read import open_source, with_key
from include.spec import (
    Column,
    CsvSource,
    DeltaSource,
    ParquetSource,
    Source,
    SqlSource,
    Table,
)
from include.spec.base import suggestion
from include.spec.values import name_problem

SEVERAL = 2
EVER = Interval(datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))
STORES = ("s3://", "gs://", "az://", "abfss://")
VALID = (
    "Valid for --from are a Parquet or CSV file, a folder of them or a pattern such as"
    " 'rents/*.csv', a Delta table, and a database's URL with --table. Rows that a function gives"
    " are written to a file first; the function is declared afterwards (docs/use-cases.md)."
)


def source_of(
    name: str,
    origin: str,
    table: str | None,
    nulls: Sequence[str] = (),
    root: Path = PROJECT_ROOT,
) -> tuple[Source, dict[str, object]]:
    """The source of the use case `name`, and the arguments that spec.py declares it with. `nulls`
    are texts of CSV files that stand for no value, beside those that do anyway.

    Raises `DataError` where nothing is at `origin`, with what is there instead, and for `nulls` of
    another source.
    """
    source, arguments = _source_of(name, origin, table, root)
    if not nulls:
        return source, arguments
    if not isinstance(source, CsvSource):
        raise DataError(
            f"--null is {list(nulls)}, and only of CSV files can a text stand for no value; make"
            " it null where the rows are written."
        )
    texts = tuple(dict.fromkeys((*source.null_values, *nulls)))
    changed = source.model_copy(update={"null_values": texts})
    return changed, {**arguments, "null_values": texts}


def _source_of(
    name: str, origin: str, table: str | None, root: Path
) -> tuple[Source, dict[str, object]]:
    if "://" in origin and not origin.startswith(STORES):
        return _database(name, origin, table)
    path = _declared_path(origin, root)
    if "://" in path:
        kind = CsvSource if path.endswith(".csv") else ParquetSource
        return kind(path=path), {"path": path}
    full = root / path
    if (full / "_delta_log").is_dir():
        return DeltaSource(uri=path), {"uri": path}
    text = _text_file(full)
    if text is None:
        return ParquetSource(path=path), {"path": path}
    separator = _separator(text)
    extra: dict[str, object] = {} if separator == "," else {"separator": separator}
    return CsvSource(path=path, separator=separator), {"path": path, **extra}


def named_key(
    rows: pl.DataFrame, named: Sequence[str]
) -> tuple[pl.DataFrame, str | None, tuple[str, ...]]:
    """The rows, their key, and the columns that it is made of: `named` are the values of `--key`, a
    column each or several with commas. Of several one is made, as a declared source makes it.

    Raises `DataError` for one that is no column.
    """
    columns = [
        part for value in named for part in ([value] if value in rows.columns else value.split(","))
    ]
    columns = list(dict.fromkeys(part.strip() for part in columns))
    if len(columns) < SEVERAL:
        return rows, next(iter(columns), None), ()
    for name in columns:
        if name not in rows.columns:
            raise DataError(
                f"--key is {name!r}, no column of the source{suggestion(name, rows.columns)}"
            )
    key = "_".join(columns)
    key = f"{key}_id" if key in rows.columns or name_problem(key) else key
    return with_key(rows.lazy(), key, columns).collect(), key, tuple(columns)


def rows_of(source: Source) -> pl.DataFrame:
    """All rows of the source; raises `DataError` where it cannot be read."""
    # Only a stand-in: which columns there are is what is to be learned.
    at = Column(name="at", type="timestamp")
    table = Table(name="raw/new", key=("at",), columns=(at,), time_column=None)
    if isinstance(source, SqlSource):
        source = source.model_copy(update={"where": "TRUE"})  # so that all columns are read
    try:
        return open_source(source, EVER, ModuleType("data"), table).collect()
    except UNREADABLE as error:
        raise DataError(f"--from cannot be read: {error}") from error


def _database(name: str, url: str, table: str | None) -> tuple[Source, dict[str, object]]:
    if table is None:
        raise DataError("--table is missing: name the table of the database.")
    file = _sqlite_file(url)
    if file is not None and not file.exists():
        # SQLite would make an empty database of a mistyped name.
        raise DataError(f"{what_is_missing(file.absolute())} Correct --from.")
    variable = f"{name.upper()}_DATABASE_URL"
    os.environ[variable] = url
    return SqlSource(url_variable=variable, table=table), {
        "url_variable": variable,
        "table": table,
    }


def _sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None where the URL is of another kind, or of none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def _declared_path(origin: str, root: Path) -> str:
    """A path as the specification has it: from the checkout on where it lies there."""
    if "://" in origin:
        return origin
    full = Path(origin).expanduser().absolute()
    return str(full.relative_to(root) if full.is_relative_to(root) else full)


def _text_file(full: Path) -> Path | None:
    """One of the CSV files that the path names; None where it names Parquet files.

    Raises `DataError` where it names neither.
    """
    if full.is_dir():
        file = next(
            (file for ending in ("csv", "parquet") for file in sorted(full.rglob(f"*.{ending}"))),
            None,
        )
        if file is None:
            raise DataError(
                f"The folder {full} holds no Parquet or CSV file and is no Delta table; there are"
                f" {sorted(file.name for file in full.iterdir())[:20]}. {VALID}"
            )
    elif full.exists() or not any(sign in str(full) for sign in PATTERN):
        if not full.exists():
            raise DataError(f"{what_is_missing(full)} Correct --from. {VALID}")
        file = full
    else:
        file = files_of_pattern(full)[0]
    return file if file.suffix == ".csv" else None


def _separator(file: Path) -> str:
    """The sign that the header holds most often."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        header = lines.readline()
    return max((",", ";", "\t", "|"), key=header.count)
