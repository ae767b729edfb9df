"""Rows as they came, in a form that a landing table holds whatever they are.

A column that cannot become what it is declared as must land too, for validation to refuse it by
name: where Delta has no such type its values land as text beside the name of their type, which is
no valid form of any declared column.
"""

from __future__ import annotations

import polars as pl

from include.tables.casting import REFUSED_TEXT, REFUSED_TYPE

_HELD = (
    pl.String,
    pl.Boolean,
    pl.Binary,
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.Float32,
    pl.Float64,
    pl.Date,
)
MOST_DIGITS = 38


def landable(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every column in a type that a Delta table gives back as it was written.

    Of names that differ only in case the first one stays, the others get a number behind them.
    """
    columns: dict[str, pl.Series] = {}
    taken: set[str] = set()
    for series in frame.iter_columns():
        name, number = series.name, 1
        while name.casefold() in taken:
            number += 1
            name = f"{series.name} ({number})"
        taken.add(name.casefold())
        columns[name] = _held(series)
    return pl.DataFrame(columns)


def _held(values: pl.Series) -> pl.Series:
    dtype = values.dtype
    if dtype == pl.Null:
        return values.cast(pl.String)
    if dtype.is_unsigned_integer() or dtype in (pl.Int128, pl.Categorical, pl.Enum):
        stored = values.cast(pl.Int64 if dtype.is_integer() else pl.String, strict=False)
        return stored if stored.null_count() == values.null_count() else _as_text(values)
    if isinstance(dtype, pl.Datetime):
        return _held_time(values, dtype)
    if dtype in _HELD or (isinstance(dtype, pl.Decimal) and (dtype.precision or 0) <= MOST_DIGITS):
        return values
    return _as_text(values)


def _held_time(values: pl.Series, dtype: pl.Datetime) -> pl.Series:
    stored = values.cast(pl.Datetime("us", dtype.time_zone), strict=False)
    if stored.null_count() != values.null_count():
        return _as_text(values)
    if dtype.time_zone is not None:
        stored = stored.dt.convert_time_zone("UTC")
    back = stored.dt.cast_time_unit(dtype.time_unit).to_physical()
    return stored if (back == values.to_physical()).all() else _as_text(values)


def _as_text(values: pl.Series) -> pl.Series:
    texts = [None if value is None else str(value) for value in _listed(values)]
    types = [None if text is None else str(values.dtype) for text in texts]
    frame = pl.DataFrame({REFUSED_TYPE: types, REFUSED_TEXT: texts}, schema_overrides=_TEXTS)
    struct = frame.to_struct(values.name)
    present = pl.Series([text is not None for text in texts], dtype=pl.Boolean)
    return frame.select(
        pl.when(present).then(struct).otherwise(None).alias(values.name)
    ).to_series()


def _listed(values: pl.Series) -> list[object]:
    """The values, times as their numbers: there are some beyond the years that Python has."""
    return (values.to_physical() if values.dtype.is_temporal() else values).to_list()


_TEXTS = {REFUSED_TYPE: pl.String, REFUSED_TEXT: pl.String}
