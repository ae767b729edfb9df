"""Bad deliveries made from real rows: each damages one thing, as a source that changed without a word would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from include.steps import Interval

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class DeliveryCase:
    """One bad delivery: what is done to the real rows, and the rule (of that table and column) that must refuse it."""

    name: str
    damage: Callable[[Frames], Frames]
    table: str
    column: str
    rule: str


def write_delivery(folder: Path, use_case: str, interval: Interval, frames: Mapping[str, pl.DataFrame]) -> Path:
    """Lay the frames down as the delivery of the interval; `folder` is what FLIGHTDECK_DELIVERY_DIR names."""
    delivered = folder / use_case / interval.label
    delivered.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(delivered / f"{name.removeprefix('raw/')}.parquet")
    return delivered


def changed(table: str, *columns: pl.Expr) -> Callable[[Frames], Frames]:
    """The frames with columns of one table replaced."""
    return lambda frames: frames | {table: frames[table].with_columns(*columns)}


def renamed(table: str, old: str, new: str) -> Callable[[Frames], Frames]:
    """The frames with one column under another name."""
    return lambda frames: frames | {table: frames[table].rename({old: new})}


def without(table: str, column: str) -> Callable[[Frames], Frames]:
    """The frames without one column."""
    return lambda frames: frames | {table: frames[table].drop(column)}


def in_part(column: str, share: float, value: pl.Expr) -> pl.Expr:
    """The column with `value` in that share of the rows, evenly spread."""
    return pl.when(pl.int_range(pl.len()) % 100 < round(100 * share)).then(value).otherwise(pl.col(column)).alias(column)


def nothing(frames: Frames) -> Frames:
    """All columns, and no row in the tables that have a window."""
    return {name: frame if name == "raw/planes" else frame.head(0) for name, frame in frames.items()}


def earlier_rows(frames: Frames, earlier: Frames, days: int) -> Frames:
    """The frames with an earlier interval's flights in place of this one's, moved on by `days`: an old file under a new date."""
    times = pl.col("asked_at", "scheduled_departure") + pl.duration(days=days)
    return frames | {"raw/flights": earlier["raw/flights"].with_columns(times)}


def delivery_cases(earlier: Frames) -> tuple[DeliveryCase, ...]:
    """Every bad delivery of the flights; `earlier` are the rows of an interval thirty days before that has been published."""
    weather, flights = "raw/weather", "raw/flights"
    text = pl.format("{} mi", pl.col("distance")).alias("distance")
    flood = pl.format("X{}", pl.int_range(pl.len()) % 40)
    return (
        DeliveryCase("renamed column", renamed(flights, "carrier", "airline"), flights, "", "columns"),
        DeliveryCase("missing column", without(weather, "humidity"), weather, "", "columns"),
        DeliveryCase("retyped column", changed(flights, text), flights, "distance", "type"),
        DeliveryCase("all-null column", changed(weather, pl.lit(None, pl.Float64).alias("temperature")), weather, "temperature", "nulls"),
        DeliveryCase(
            "60 % null column", changed(weather, in_part("pressure", 0.6, pl.lit(None, pl.Float64))), weather, "pressure", "null share"
        ),
        DeliveryCase("empty window", nothing, flights, "", "row count"),
        DeliveryCase("duplicated delivery", lambda frames: earlier_rows(frames, earlier, 30), flights, "flight_id", "duplicate delivery"),
        DeliveryCase("unseen category flood", changed(flights, in_part("dest", 0.3, flood)), flights, "dest", "unseen values"),
        DeliveryCase("-999 sentinels", changed(weather, in_part("temperature", 0.02, pl.lit(-999.0))), weather, "temperature", "range"),
        DeliveryCase(
            "shifted distribution",
            changed(weather, (pl.col("humidity") / 100).alias("humidity")),
            weather,
            "humidity",
            "distribution (PSI)",
        ),
    )
