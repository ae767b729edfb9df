"""Damage to the real rows of one interval, as a source that changed without a word would deliver
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from include.interval import Interval

LATE_AFTER_MINUTES = 15
REPORTED_AFTER_MINUTES = 15
Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Rows:
    """What there is to damage: the frames of an interval, those of an earlier, published one, and
    how far apart the two are.
    """

    frames: Frames
    earlier: Frames
    distance: timedelta


Damage = Callable[[Rows], Frames]


def write_delivery(folder: Path, use_case: str, interval: Interval, frames: Frames) -> Path:
    """Lay the frames down as the delivery of the interval;

    `folder` is what FLIGHTDECK_DELIVERY_DIR names.
    """
    delivered = folder / use_case / interval.label
    delivered.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(delivered / f"{name.removeprefix('raw/')}.parquet")
    return delivered


def unharmed(rows: Rows) -> Frames:
    """The rows as they were."""
    return rows.frames


def of(table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Damage:
    """One table changed, the others as they are."""
    return lambda rows: {**rows.frames, table: change(rows.frames[table])}


def columns(table: str, *changed: pl.Expr) -> Damage:
    """Columns of one table replaced."""
    return of(table, lambda frame: frame.with_columns(*changed))


def in_part(column: str, share: float, value: pl.Expr) -> pl.Expr:
    """The column with `value` in that share of the rows, evenly spread."""
    return (
        pl.when(pl.int_range(pl.len()) % 100 < round(100 * share))
        .then(value)
        .otherwise(pl.col(column))
        .alias(column)
    )


def nothing(rows: Rows) -> Frames:
    """All columns, and no row in the tables that have a window."""
    return {
        name: frame if name == "raw/planes" else frame.head(0)
        for name, frame in rows.frames.items()
    }


def earlier_rows(rows: Rows) -> Frames:
    """The earlier interval's flights in place of this one's, moved on by the distance: an old file
    under a new date.
    """
    times = pl.col("asked_at", "scheduled_departure") + rows.distance
    return {**rows.frames, "raw/flights": rows.earlier["raw/flights"].with_columns(times)}


def without_carrier(carrier: str) -> Damage:
    """One carrier's flights and arrivals did not come."""
    remaining = pl.col("carrier") != carrier
    return lambda rows: {
        name: frame.filter(remaining) if "carrier" in frame.columns else frame
        for name, frame in rows.frames.items()
    }


def flipped(origin: str) -> pl.Expr:
    """`late` the other way round in every tenth arrival from the origin."""
    return (
        pl.when(_every_tenth(origin))
        .then(1 - pl.col("late"))
        .otherwise(pl.col("late"))
        .alias("late")
    )


def flipped_with_delay(origin: str) -> tuple[pl.Expr, pl.Expr]:
    """The same with a delay that agrees: only the clocks still tell the truth."""
    minutes = pl.when(pl.col("late") == 1).then(-5.0).otherwise(60.0)
    return flipped(origin), pl.when(_every_tenth(origin)).then(minutes).otherwise(
        pl.col("arrival_delay")
    ).alias("arrival_delay")


def delayed(arrivals: pl.DataFrame, minutes: pl.Expr) -> pl.DataFrame:
    """Arrivals with other delays, and label and timetable to match: rows that do not contradict
    themselves.
    """
    changed = arrivals.with_columns(minutes.alias("arrival_delay"))
    schedule = pl.col("known_at") - pl.duration(
        minutes=pl.col("arrival_delay").cast(pl.Int64) + REPORTED_AFTER_MINUTES
    )
    return changed.with_columns(
        (pl.col("arrival_delay") > LATE_AFTER_MINUTES).cast(pl.Int64).alias("late"),
        schedule.alias("scheduled_arrival"),
    )


def _every_tenth(origin: str) -> pl.Expr:
    return (pl.col("origin") == origin) & (pl.int_range(pl.len()).over("origin") % 10 == 0)
