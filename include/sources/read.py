"""The rows of a declared source: read, in their declared types, cut to the interval, to the table
and to the sample.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from types import ModuleType

import polars as pl
from polars.exceptions import PolarsError

from include.errors import DataError
from include.interval import Interval
from include.sources.databases import read_database
from include.sources.files import UNREADABLE, scan_csv, scan_delta, scan_parquet
from include.sources.frames import to_polars
from include.sources.moments import FORMS, is_moment, moment
from include.spec import (
    Column,
    CsvSource,
    DeltaSource,
    ParquetSource,
    Source,
    SqlSource,
    Table,
    UseCase,
)
from include.spec.base import suggestion
from include.tables.casting import plain
from include.tables.store import in_window
from include.tables.types import TYPES

TRUTHS = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}
RAW = "__as it came"
KEY_SEPARATOR = "|"


def read_table(
    use_case: UseCase, table: Table, interval: Interval, share: float, data: ModuleType
) -> pl.DataFrame:
    """The rows of a table with a declared source: those of `[start, end)` by its time column, all
    of a static one; `share` of them where the table holds the data set's id.

    A value that cannot be what its column declares stays as it came, for validation to refuse.
    Raises `DataError` for a source that cannot be read, for a time column that is missing or says
    no moment, and for rows without one that `where` does not leave out.
    """
    source = table.source
    if source is None:
        raise ValueError(f"{table.name} declares no source")
    where = f"{use_case.name}, table {table.name!r}"
    try:
        rows = _read(table, source, interval, data)
        rows = _typed(rows, table, source)
        rows = _filtered(rows, source.where)
        rows = _in_interval(rows, table, interval)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except UNREADABLE as error:
        raise DataError(f"{where}: its source cannot be read: {error}") from error
    if share < 1.0 and use_case.id_column in rows.columns:
        rows = rows.filter(in_share(rows[use_case.id_column], share))
    declared = [column.name for column in table.columns if column.name in rows.columns]
    return rows.select(declared)


def in_share(ids: pl.Series, share: float) -> pl.Series:
    """Which ids belong to the share: those whose text's CRC-32 falls into the lowest `share` of its
    range, on every machine and in every window.
    """
    limit = int(share * 2**32)
    chosen = [zlib.crc32(str(value).encode()) < limit for value in ids]
    return pl.Series(chosen, dtype=pl.Boolean)


def open_source(source: Source, interval: Interval, data: ModuleType, table: Table) -> pl.LazyFrame:
    """The source's rows before they are cut: at least those of the interval."""
    if isinstance(source, ParquetSource):
        return scan_parquet(source)
    if isinstance(source, CsvSource):
        return scan_csv(source)
    if isinstance(source, DeltaSource):
        return scan_delta(source)
    if isinstance(source, SqlSource):
        # A condition may read columns that are not declared.
        declared = [column.name for column in table.columns]
        named = [*declared, *filter(None, [source.time_from]), *source.key_from]
        names = [] if source.where else named
        # Rows are known later than the time that the database holds of them.
        asked = Interval(interval.start - source.delay, interval.end - source.delay)
        time_column = table.time_column and (source.time_from or table.time_column)
        return read_database(source, names, time_column, asked).lazy()
    frame = getattr(data, source.function)(interval)
    return to_polars(frame, f"{source.function} of data.py").lazy()


def _read(table: Table, source: Source, interval: Interval, data: ModuleType) -> pl.DataFrame:
    """The interval's rows and those whose time says nothing, the time column as moments."""
    frame, name = open_source(source, interval, data, table), table.time_column
    if source.key_from:
        # Before times become moments: a key is of what the source holds, whatever the table's time.
        frame = with_key(frame, table.key[0], source.key_from)
    if name is None:
        return frame.collect()
    schema, origin = frame.collect_schema(), source.time_from or name
    if origin not in schema:
        raise DataError(
            f"its time column {origin!r} is not in the source{suggestion(origin, schema.names())}."
        )
    if not is_moment(schema[origin]):
        raise DataError(
            f"its time column {origin!r} holds {schema[origin]} in the source; it must hold times,"
            f" such as {FORMS}."
        )
    at = moment(origin, schema[origin], source.timezone)
    if source.delay:
        at = at + source.delay
    inside = in_window(name, interval.start, interval.end) | pl.col(name).is_null()
    if at.meta.eq(pl.col(name)):  # a filter on the column itself lets files be skipped
        return frame.filter(inside).collect()
    marked = frame.with_columns(pl.col(origin).alias(RAW)).with_columns(at.alias(name))
    rows = marked.filter(inside).collect()
    _check_times(rows, name, source.timezone)
    return rows.drop(RAW)


def with_key(frame: pl.LazyFrame, key: str, columns: Sequence[str]) -> pl.LazyFrame:
    """The rows with a key that is made of several columns' texts, a separator within one marked by
    a backslash; null where one of them is.

    Raises `DataError` for a column that is not there, and where the key is there already.
    """
    there = frame.collect_schema().names()
    for name in columns:
        if name not in there:
            raise DataError(
                f"key_from names {name!r}, which is not in the source{suggestion(name, there)}."
            )
    if key in there:
        raise DataError(
            f"its key {key!r} is a column of the source already; leave key_from out, or give the"
            " key another name."
        )
    # A text may hold the separator itself: without a mark "a|b" and "c" would be "a" and "b|c".
    texts = [
        pl.col(name)
        .cast(pl.String)
        .str.replace_all("\\", "\\\\", literal=True)
        .str.replace_all(KEY_SEPARATOR, f"\\{KEY_SEPARATOR}", literal=True)
        for name in columns
    ]
    return frame.with_columns(pl.concat_str(texts, separator=KEY_SEPARATOR).alias(key))


def _check_times(rows: pl.DataFrame, name: str, timezone: str | None) -> None:
    bad = rows.filter(pl.col(name).is_null() & pl.col(RAW).is_not_null())
    if bad.height == 0:
        return
    if timezone is None:
        remedy = "declare the source's timezone where they have none"
    else:
        remedy = (
            f"a clock in {timezone} may never have shown it, or twice: deliver such a time with its"
            " offset"
        )
    raise DataError(
        f"{bad.height} rows have a {name!r} that is no moment, for example"
        f" {plain(bad[RAW][0])!r}; write times such as {FORMS}, and {remedy}."
    )


def _typed(rows: pl.DataFrame, table: Table, source: Source) -> pl.DataFrame:
    """The rows with times as moments and, of CSV files, text as what is declared."""
    for column in table.columns:
        if column.name not in rows.columns or column.name == table.time_column:
            continue
        values = rows[column.name]
        if column.type == "timestamp" and is_moment(values.dtype):
            at = moment(column.name, values.dtype, source.timezone)
            made = rows.with_columns(at.alias(column.name))[column.name]
        elif isinstance(source, CsvSource):
            made = _parsed(values, column)
        else:
            continue
        if made.null_count() == values.null_count():
            rows = rows.with_columns(made)
    return rows


def _parsed(values: pl.Series, column: Column) -> pl.Series:
    text = values.str.strip_chars()
    if column.type == "boolean":
        return text.str.to_lowercase().replace_strict(
            list(TRUTHS), list(TRUTHS.values()), default=None, return_dtype=pl.Boolean
        )
    if column.type == "integer":
        whole = text.cast(pl.Int64, strict=False)
        if whole.null_count() == values.null_count():
            return whole
        number = text.cast(pl.Float64, strict=False)  # such as "3.0", for the cast to judge
        return number if number.null_count() == values.null_count() else values
    return values if column.type == "string" else text.cast(TYPES[column.type], strict=False)


def _filtered(rows: pl.DataFrame, condition: str) -> pl.DataFrame:
    if not condition:
        return rows
    try:
        return rows.filter(pl.sql_expr(condition))
    except PolarsError as error:
        raise DataError(
            f"where is {condition!r}, which cannot be evaluated: {str(error).splitlines()[0]}. The"
            f" source's columns are {rows.columns}."
        ) from error


def _in_interval(rows: pl.DataFrame, table: Table, interval: Interval) -> pl.DataFrame:
    name = table.time_column
    if name is None:
        return rows
    missing = rows.filter(pl.col(name).is_null())
    if missing.height:
        raise DataError(
            f"{missing.height} rows have no {name!r}, so they belong to no interval, for example"
            f" {plain(missing.row(0, named=True))}. Deliver it, or leave such rows out with the"
            f" source's where, such as '{name} IS NOT NULL'."
        )
    inside = rows.filter(in_window(name, interval.start, interval.end))
    order = [column for column in (name, *table.key) if column in inside.columns]
    return inside.sort(order)
