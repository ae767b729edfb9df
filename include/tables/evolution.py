"""How a table that is there takes rows of another schema: it gains columns and loses none.

A new column is null in older rows; one that the new rows lack, because nobody declares it any more,
is null in them and stays in the older ones. A column whose stored type is another one than that of
the new rows is brought to it where no stored value changes by that, so that tables from before
their columns were declared heal themselves. Whatever else differs is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from include.errors import DataError
from include.spec.base import suggestion
from include.tables.casting import Declared, cast_frame
from include.tables.types import TYPES


@dataclass(frozen=True)
class Evolution:
    """What new rows change about a table's schema: `added` columns, those that are `retyped` in all
    its rows, and those that the new rows lack (`left`), with their types.
    """

    added: tuple[str, ...]
    retyped: Mapping[str, pl.DataType]
    left: Mapping[str, pl.DataType]

    @classmethod
    def between(
        cls, name: str, stored: Mapping[str, pl.DataType], frame: pl.DataFrame
    ) -> Evolution:
        """Raises `DataError` where a name is new only by its case."""
        added = tuple(column for column in frame.columns if column not in stored)
        folded = {column.casefold(): column for column in stored}
        for column in added:
            if column.casefold() in folded:
                raise DataError(
                    f"{name}: the new column {column!r} differs from the table's"
                    f" {folded[column.casefold()]!r} in its case only{suggestion(column, stored)}."
                )
        retyped = {
            column: dtype
            for column, dtype in frame.schema.items()
            if column in stored and dtype not in (stored[column], pl.Null)
        }
        left = {name: dtype for name, dtype in stored.items() if name not in frame.columns}
        return cls(added, retyped, left)

    def completed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The new rows with the columns that they lack, null."""
        return rows.with_columns(
            pl.lit(None, dtype=dtype).alias(column) for column, dtype in self.left.items()
        )

    def retype(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Stored rows in the new types; raises `DataError` naming column, types and a value where
        one would change.
        """
        made = rows
        for column, dtype in self.retyped.items():
            if made.schema[column] == dtype:
                continue
            made = made.with_columns(_retyped(name, made, column, dtype))
        return made


def with_stored_types(stored: Mapping[str, pl.DataType], frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with columns that hold no value at all in the table's types."""
    casts = {
        column: stored[column]
        for column, dtype in frame.schema.items()
        if dtype == pl.Null and column in stored
    }
    return frame.cast(casts) if casts else frame  # type: ignore[arg-type]


def with_types_of(name: str, stored: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Stored rows with the frame's types in the columns that both have; raises `DataError` as
    `Evolution.retype` does.
    """
    types = {column: frame.schema[column] for column in stored.columns if column in frame.columns}
    return Evolution((), types, {}).retype(name, stored)


def _retyped(name: str, rows: pl.DataFrame, column: str, dtype: pl.DataType) -> pl.Series:
    declared = next((kind for kind, known in TYPES.items() if known == dtype), None)
    reason = "the two have no value in common"
    if declared is not None:
        cast = cast_frame(rows.select(column), [Declared(column, declared)])
        if not cast.refusals:
            return cast.frame[column]
        reason = cast.refusals[0].observed
    elif rows[column].null_count() == rows.height:
        return rows[column].cast(dtype)
    raise DataError(
        f"{name}: the column {column!r} is stored as {rows.schema[column]}, and the new rows have"
        f" {dtype}: {reason}. A table's columns keep their types: give the new one another name, or"
        " the type that is stored (docs/changing-use-cases.md)."
    )
