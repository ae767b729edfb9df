"""The type that each declared column has in every table, and what Delta makes of all others.

Delta has no unsigned numbers, categories or nanoseconds: a frame is brought to the types that it
will be read back with before it is written or digested, so that the same rows are the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from include.errors import DataError
from include.spec.values import ColumnType

TIMESTAMP = pl.Datetime("us", "UTC")
TYPES: Mapping[ColumnType, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "timestamp": TIMESTAMP,
}
_SIGNED: dict[Any, pl.DataType] = {
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
    pl.UInt64: pl.Int64(),
    pl.Int128: pl.Int64(),
    pl.UInt128: pl.Int64(),
}


def as_stored(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in the types with which Delta gives it back.

    Raises `DataError` naming table and column where a value has no place there (a number beyond 64
    bits).
    """
    changed = {
        column: stored
        for column, dtype in frame.schema.items()
        if (stored := _stored(dtype)) is not None
    }
    if not changed:
        return frame
    made = frame.cast(changed, strict=False)  # type: ignore[arg-type]
    for column in changed:
        if made[column].null_count() != frame[column].null_count():
            raise DataError(
                f"{name}.{column}: a value of type {frame.schema[column]} has no place in the"
                f" table's {made.schema[column]}; bring the column to another type first."
            )
    return made


def _stored(dtype: pl.DataType) -> pl.DataType | None:
    if dtype in (pl.Categorical, pl.Enum):
        return pl.String()
    if isinstance(dtype, pl.Datetime) and (
        dtype.time_unit != "us" or dtype.time_zone not in (None, "UTC")
    ):
        return pl.Datetime("us", None if dtype.time_zone is None else "UTC")
    return _SIGNED.get(dtype.base_type())
