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


def early_arrivals(rows: Rows) -> Frames:
    """Every tenth arrival of all but the first day took place eight hours before it did: before its
    flight has left. Its own clocks agree.
    """
    arrivals = rows.frames["raw/arrivals"]
    first_day = arrivals["known_at"].dt.truncate("1d").min()
    chosen = (pl.col("known_at").dt.truncate("1d") > first_day) & (pl.int_range(pl.len()) % 10 == 0)
    times = [
        pl.when(chosen).then(pl.col(name) - pl.duration(hours=8)).otherwise(name).alias(name)
        for name in ("known_at", "scheduled_arrival")
    ]
    return {**rows.frames, "raw/arrivals": arrivals.with_columns(times)}


def labels_before_departure(rows: Rows) -> Frames:
    """Every tenth arrival is reported an hour after its question: long before its flight leaves."""
    asked = rows.frames["raw/flights"].select("flight_id", "asked_at")
    joined = rows.frames["raw/arrivals"].join(
        asked, on="flight_id", how="left", maintain_order="left"
    )
    early = (pl.int_range(pl.len()) % 10 == 0) & pl.col("asked_at").is_not_null()
    known = pl.when(early).then(pl.col("asked_at") + pl.duration(hours=1)).otherwise("known_at")
    arrivals = joined.with_columns(known.alias("known_at")).drop("asked_at")
    return {**rows.frames, "raw/arrivals": arrivals}


def under_other_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Every tenth row twice, the second time under another flight id."""
    again = frame.gather_every(10).with_columns(
        pl.format("{}-again", "flight_id").alias("flight_id")
    )
    return pl.concat([frame, again])


def flights_again(asked: Interval, earlier: timedelta) -> Damage:
    """The flights asked about in the interval, and their arrivals, are there a second time, that
    much earlier and under other ids.
    """

    def damage(rows: Rows) -> Frames:
        inside = (pl.col("asked_at") >= asked.start) & (pl.col("asked_at") < asked.end)
        chosen = rows.frames["raw/flights"].filter(inside).select("flight_id")
        made = dict(rows.frames)
        for name, times in (
            ("raw/flights", ("asked_at", "scheduled_departure")),
            ("raw/arrivals", ("known_at", "scheduled_arrival")),
        ):
            frame = rows.frames[name]
            again = frame.join(chosen, on="flight_id", how="semi", maintain_order="left")
            again = again.with_columns(
                pl.format("{}-again", "flight_id").alias("flight_id"), pl.col(times) - earlier
            )
            made[name] = pl.concat([frame, again])
        return made

    return damage


def _every_tenth(origin: str) -> pl.Expr:
    return (pl.col("origin") == origin) & (pl.int_range(pl.len()).over("origin") % 10 == 0)
