"""Faults planted in a delivery: each returns the tables that it changed, or None where the delivery
has nothing that can be damaged so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import polars as pl

from include.interval import Interval
from include.spec import Column, Table, UseCase

FEET = 0.3048
SENTINEL = -999
SENTINEL_SHARE = 0.1
STAND_IN_SHARE = 0.2
RARE_SHARE = 0.01
NULL_SHARE = 0.4
MANY_VALUES = 20
FEW_TEXTS = 50
OFFSET = timedelta(hours=5)
SHIFTED_KEYS = 10_000_000


@dataclass(frozen=True)
class Situation:
    """A delivery as it came, the one before it, and a source of chance of its own."""

    use_case: UseCase
    frames: Mapping[str, pl.DataFrame]
    interval: Interval
    before: Mapping[str, pl.DataFrame]
    interval_before: Interval
    chance: np.random.Generator

    def with_chance(self, chance: np.random.Generator) -> Situation:
        """The same with another source of chance."""
        return replace(self, chance=chance)

    @property
    def entities(self) -> Table:
        """The table of questions."""
        name = self.use_case.entity_table
        return next(table for table in self.use_case.own_tables if table.name == name)

    def columns(self, *types: str) -> list[tuple[Table, Column]]:
        """The columns of these types that are neither key nor time and hold several values."""
        return [
            (table, column)
            for table in self.use_case.own_tables
            for column in table.columns
            if column.type in types
            and column.name not in (*table.key, table.time_column)
            and self.values(table, column).n_unique() > 1
        ]

    def values(self, table: Table, column: Column) -> pl.Series:
        """The values that are there."""
        return self.frames[table.name][column.name].drop_nulls()

    def choose(self, columns: list[tuple[Table, Column]]) -> tuple[Table, Column] | None:
        """One of them at random."""
        return columns[int(self.chance.integers(len(columns)))] if columns else None

    def some(self, table: Table, share: float) -> pl.Expr:
        """A random share of the table's rows."""
        height = self.frames[table.name].height
        return pl.lit(pl.Series(self.chance.random(height) < share))

    def changed(self, table: Table, *values: pl.Expr) -> dict[str, pl.DataFrame]:
        """The table with other values."""
        return {table.name: self.frames[table.name].with_columns(*values)}


Damaged = dict[str, pl.DataFrame] | None
Fault = Callable[[Situation], Damaged]


def _measures(situation: Situation) -> list[tuple[Table, Column]]:
    """Columns of measured numbers: many values, and no counts of a few."""
    return [
        (table, column)
        for table, column in situation.columns("number", "integer")
        if situation.values(table, column).n_unique() >= MANY_VALUES
    ]


def unit_change(situation: Situation) -> Damaged:
    """A measured column comes in metres that was in feet."""
    chosen = situation.choose(_measures(situation))
    if chosen is None:
        return None
    table, column = chosen
    value = pl.col(column.name) * FEET
    return situation.changed(table, value.round().cast(pl.Int64) if _whole(column) else value)


def _rare(values: pl.Series, *, whole: bool) -> float | None:
    """A number in the upper half of the values' range that at most `RARE_SHARE` of them are, if
    there is one.
    """
    ordered = values.unique().sort()
    start, last = float(ordered[len(ordered) * 3 // 4]), float(ordered[-1])
    if not whole:
        return start + 0.123
    numbers = range(int(start) + 1, int(last))
    return next((float(number) for number in numbers if _share(values, number) <= RARE_SHARE), None)


def _share(values: pl.Series, number: int) -> float:
    return float(str((values == number).mean()))


def sentinel(situation: Situation) -> Damaged:
    """A tenth of a column's values are -999, or `N/A`."""
    chosen = situation.choose(situation.columns("number", "integer", "string"))
    if chosen is None:
        return None
    table, column = chosen
    stands = pl.lit("N/A") if column.type == "string" else pl.lit(SENTINEL)
    value = pl.when(situation.some(table, SENTINEL_SHARE)).then(stands)
    dtype = situation.frames[table.name].schema[column.name]
    return situation.changed(table, value.otherwise(column.name).cast(dtype).alias(column.name))


def stand_in(situation: Situation) -> Damaged:
    """A fifth of a measured column's values are one number of its range that hardly a row had."""
    rare_of = {
        (table.name, column.name): rare
        for table, column in _measures(situation)
        if (rare := _rare(situation.values(table, column), whole=_whole(column))) is not None
    }
    measures = [pair for pair in _measures(situation) if (pair[0].name, pair[1].name) in rare_of]
    chosen = situation.choose(measures)
    if chosen is None:
        return None
    table, column = chosen
    rare = rare_of[table.name, column.name]
    value = pl.when(situation.some(table, STAND_IN_SHARE)).then(pl.lit(rare))
    dtype = situation.frames[table.name].schema[column.name]
    return situation.changed(table, value.otherwise(column.name).cast(dtype).alias(column.name))


def null_share(situation: Situation) -> Damaged:
    """Two fifths of a column's values are missing; of one that may lack some, if there is one."""
    columns = situation.columns("number", "integer", "string")
    allowed = [chosen for chosen in columns if chosen[1].max_null_share > 0]
    chosen = situation.choose(allowed or columns)
    if chosen is None:
        return None
    table, column = chosen
    lost = pl.when(situation.some(table, NULL_SHARE)).then(None).otherwise(column.name)
    return situation.changed(table, lost.alias(column.name))


def swapped_columns(situation: Situation) -> Damaged:
    """Two columns of one type have each other's values."""
    columns = situation.columns("number", "integer", "string")
    pairs = [
        (table, first, second)
        for number, (table, first) in enumerate(columns)
        for other, second in columns[number + 1 :]
        if other is table and first.type == second.type
    ]
    if not pairs:
        return None
    table, first, second = pairs[int(situation.chance.integers(len(pairs)))]
    return situation.changed(
        table, pl.col(first.name).alias(second.name), pl.col(second.name).alias(first.name)
    )


def recoded_category(situation: Situation) -> Damaged:
    """The values of a text column are numbered instead of named."""
    columns = [
        (table, column)
        for table, column in situation.columns("string")
        if situation.values(table, column).n_unique() <= FEW_TEXTS
    ]
    chosen = situation.choose(columns)
    if chosen is None:
        return None
    table, column = chosen
    code = pl.col(column.name).rank("dense").cast(pl.Int64).cast(pl.String)
    return situation.changed(table, code.alias(column.name))


def doubled_rows(situation: Situation) -> Damaged:
    """Every row comes twice."""
    return {name: pl.concat([frame, frame]) for name, frame in situation.frames.items()}


def old_delivery(situation: Situation) -> Damaged:
    """The delivery of the interval before comes again."""
    return dict(situation.before)


def stale_copy(situation: Situation) -> Damaged:
    """The rows of the interval before come again under this one's times and new keys."""
    moved: dict[str, pl.DataFrame] = {}
    later = situation.interval.start - situation.interval_before.start
    for table in situation.use_case.own_tables:
        time = str(table.time_column)
        last = pl.lit(situation.interval.end - timedelta(microseconds=1))
        frame = situation.before[table.name].with_columns(
            pl.min_horizontal(pl.col(time) + later, last.cast(pl.Datetime("us", "UTC")))
        )
        moved[table.name] = frame.with_columns(
            pl.col(name) + (SHIFTED_KEYS if frame.schema[name].is_integer() else "-2")
            for name in table.key
        )
    return moved


def truncated(share: float) -> Fault:
    """The delivery ends early: so much of each table's rows came."""

    def plant(situation: Situation) -> Damaged:
        return {
            table.name: situation.frames[table.name]
            .sort(str(table.time_column))
            .head(int(situation.frames[table.name].height * share))
            for table in situation.use_case.own_tables
        }

    return plant


def shifted_clock(situation: Situation) -> Damaged:
    """All times of the questions are five hours early or late, as of another time zone."""
    table = situation.entities
    sign = 1 if situation.chance.random() < 1 / 2 else -1
    return situation.changed(table, pl.col(str(table.time_column)) + sign * OFFSET)


FAULTS: dict[str, Fault] = {
    "unit change": unit_change,
    "sentinel": sentinel,
    "stand-in value": stand_in,
    "null share": null_share,
    "swapped columns": swapped_columns,
    "recoded category": recoded_category,
    "doubled rows": doubled_rows,
    "old delivery": old_delivery,
    "stale copy": stale_copy,
    "truncated to a fifth": truncated(0.2),
    "truncated to a half": truncated(0.5),
    "time zone shift": shifted_clock,
}


def _whole(column: Column) -> bool:
    return column.type == "integer"
