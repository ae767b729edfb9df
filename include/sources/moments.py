"""Times as sources write them, as moments in UTC."""

from __future__ import annotations

import polars as pl

from include.spec.times import check_timezone
from include.tables.store import TIMESTAMP

MIDNIGHT_OF_DAY = r"^(\d{4}-\d\d-\d\d)[ tT]"
WITH_OFFSET = ("%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z")
WITHOUT_OFFSET = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
FORMS = "2024-03-01T17:30:00+01:00 (ISO 8601)"


def moment(name: str, dtype: pl.DataType, timezone: str | None) -> pl.Expr:
    """The column as timestamps in UTC, for `with_columns`; null where a value is none, or has no
    time zone and `timezone` is None.

    A local time that the change of clocks repeats or leaves out is none.
    """
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return column if dtype == TIMESTAMP else _utc(column)
    if isinstance(dtype, pl.Datetime) or dtype == pl.Date:
        return _local(column.cast(pl.Datetime("us")), timezone).alias(name)
    if dtype == pl.String:
        return _parsed(column, timezone).alias(name)
    return pl.lit(None, dtype=TIMESTAMP).alias(name)


def is_moment(dtype: pl.DataType) -> bool:
    """Whether values of that type may be times; a column without any value has no type."""
    return isinstance(dtype, pl.Datetime) or dtype in (pl.Date, pl.String, pl.Null)


def _utc(column: pl.Expr) -> pl.Expr:
    return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def _local(column: pl.Expr, timezone: str | None) -> pl.Expr:
    if timezone is None:
        return pl.lit(None, dtype=TIMESTAMP)
    check_timezone("timezone", timezone)
    zoned = column.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    return zoned.dt.convert_time_zone("UTC")


def _parsed(column: pl.Expr, timezone: str | None) -> pl.Expr:
    text = column.str.strip_chars().str.replace(MIDNIGHT_OF_DAY, "${1}T")
    text = text.str.replace(r"[zZ]$", "+00:00")
    zoned = [
        text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        for form in WITH_OFFSET
    ]
    naive = [
        _local(text.str.to_datetime(form, time_unit="us", strict=False), timezone)
        for form in WITHOUT_OFFSET
    ]
    return pl.coalesce(*zoned, *naive)
