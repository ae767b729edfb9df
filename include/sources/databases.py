"""Tables and queries of a database that SQLAlchemy reaches."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl

from include.errors import DataError
from include.interval import Interval
from include.settings import PROJECT_ROOT
from include.spec import SqlSource
from include.spec.base import suggestion

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Select, TextClause

MARGIN = timedelta(days=2)
"""The database reads this much more at both ends: SQLite compares times as text, whatever form they
were written in, and the rows are cut exactly afterwards.
"""


def read_database(
    source: SqlSource, columns: list[str], time_column: str | None, interval: Interval
) -> pl.DataFrame:
    """The rows of the interval and of some days around it; all rows where there is no time column.

    Raises `DataError` without ever showing the URL's password.
    """
    from sqlalchemy.exc import SQLAlchemyError

    engine, secret = _engine(source)
    try:
        with engine.connect() as connection:
            if source.query is not None:
                statement: Any = _query(source.query, interval)
            else:
                statement = _table(connection, source, columns, time_column, interval)
            result = connection.execute(statement)
            rows, names = result.fetchall(), list(result.keys())
    except SQLAlchemyError as error:
        text = str(error).replace(secret, "***") if secret else str(error)
        raise DataError(
            f"{_place(source)} cannot be read: {text.splitlines()[0]}. Check the URL, the rights"
            " and the name of the table."
        ) from None
    finally:
        engine.dispose()
    return _frame(source, [tuple(row) for row in rows], names)


def _engine(source: SqlSource) -> tuple[Engine, str]:
    """The engine, and the password that no message may show."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(_url(source))
        return create_engine(url, poolclass=NullPool), url.password or ""
    except ArgumentError:
        raise DataError(
            f"{_place(source)} holds no URL of SQLAlchemy's form, such as"
            " 'postgresql+psycopg://user:password@host/database' or 'sqlite:////path/to/file.db'."
        ) from None
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise DataError(
            f"{_place(source)} names a database whose driver is not installed: {error}. Add it to"
            " requirements.in, or name another one, such as 'postgresql+psycopg://'."
        ) from None


def _url(source: SqlSource) -> str:
    if source.url_variable is not None:
        value = os.environ.get(source.url_variable, "").strip()
        if not value:
            raise DataError(
                f"The environment variable {source.url_variable} is not set; it must hold the URL"
                " of the database that spec.py names it for, also where Airflow's tasks run."
            )
        return value
    path = PROJECT_ROOT / Path(str(source.url_file)).expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DataError(
            f"The file {path}, which must hold the database's URL, cannot be read:"
            f" {error.strerror}."
        ) from error


def _place(source: SqlSource) -> str:
    what = "its query" if source.table is None else f"the table {source.table!r}"
    return f"The database of {source.url_variable or source.url_file} ({what})"


def _query(query: str, interval: Interval) -> TextClause:
    from sqlalchemy import text

    statement = text(query)
    bounds = {"start": interval.start, "end": interval.end}
    used = {name: value for name, value in bounds.items() if name in statement._bindparams}
    return statement.bindparams(**used)


def _table(
    connection: Connection,
    source: SqlSource,
    columns: list[str],
    time_column: str | None,
    interval: Interval,
) -> Select[Any]:
    from sqlalchemy import DateTime, MetaData, String, Table, select, type_coerce
    from sqlalchemy.exc import NoSuchTableError

    schema, _, name = str(source.table).rpartition(".")
    try:
        table = Table(name, MetaData(), schema=schema or None, autoload_with=connection)
    except NoSuchTableError:
        raise DataError(
            f"{_place(source)} has no such table"
            f"{suggestion(name, _tables(connection, schema or None))}."
        ) from None
    as_text = connection.dialect.name == "sqlite"  # which has no type of its own for times
    selected = [
        type_coerce(column, String).label(column.name)
        if as_text and isinstance(column.type, DateTime)
        else column
        for column in table.columns
        if not columns or column.name in columns
    ]
    statement = select(*(selected or table.columns))
    if time_column is None or time_column not in table.columns:
        return statement
    column = table.columns[time_column]
    if isinstance(column.type, String) or as_text:
        low, high = (
            moment.date().isoformat() for moment in (interval.start - MARGIN, interval.end + MARGIN)
        )
        return statement.where(
            column.is_(None)
            | (type_coerce(column, String) >= low) & (type_coerce(column, String) < high)
        )
    if not isinstance(column.type, DateTime):
        return statement
    aware = bool(column.type.timezone)
    start, end = (
        moment if aware else _local(moment, source.timezone)
        for moment in (interval.start - MARGIN, interval.end + MARGIN)
    )
    return statement.where(column.is_(None) | (column >= start) & (column < end))


def _local(moment: datetime, timezone: str | None) -> datetime:
    zone = UTC if timezone is None else ZoneInfo(timezone)
    return moment.astimezone(zone).replace(tzinfo=None)


def _tables(connection: Connection, schema: str | None) -> list[str]:
    from sqlalchemy import inspect

    inspector = inspect(connection)
    return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]


def _frame(source: SqlSource, rows: list[tuple[Any, ...]], names: list[str]) -> pl.DataFrame:
    try:
        return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{_place(source)} gives a column whose values are of several types: {error}. Select it"
            " with CAST in a query."
        ) from error
