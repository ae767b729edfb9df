"""What the point-in-time joins have in common: the views written out by hand, and the clock.

Each way is a module of `tasks`, a process of its own over the same tables and rows. It reads the
feature tables itself within its time; the entity rows are read before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.tables.store import frame_digest
from proofs.bench.child import peak_mb

# Written out by hand, as a script without a feature store would: view -> keys, features, time to
# live.
VIEWS: dict[str, tuple[tuple[str, ...], tuple[str, ...], timedelta | None]] = {
    "carrier_daily": (("carrier",), ("late_rate_7d", "late_rate_28d"), timedelta(days=3)),
    "route_daily": (
        ("origin", "dest"),
        ("late_rate_28d", "arrivals_28d", "distance"),
        timedelta(days=3),
    ),
    "origin_hourly": (("origin",), ("late_rate_6h", "late_rate_24h"), timedelta(hours=6)),
    "weather_hourly": (
        ("origin",),
        ("temperature", "humidity", "wind_speed", "precipitation", "pressure", "visibility"),
        timedelta(hours=6),
    ),
    "plane": (("tailnum",), ("built_year", "seats"), None),
}
CALLS, MANY_ROWS = 3, 1_000_000
EVENT_TIME, STAMP = "asked_at", "event_timestamp"


def measure(
    arguments: dict[str, Any], join: Callable[[pl.DataFrame], pl.DataFrame]
) -> dict[str, Any]:
    """`first` is the first call of the process, `seconds` the fastest of the next `CALLS`; the
    digest is of the rows by id.
    """
    entities = pl.read_parquet(Path(arguments["path"]))
    frame, first = _timed(join, entities)
    peak, seconds = peak_mb(), float("inf")
    for _ in range(1 if entities.height > MANY_ROWS else CALLS):
        del frame
        frame, again = _timed(join, entities)
        seconds = min(seconds, again)
    answer: dict[str, Any] = {
        "seconds": seconds,
        "first": first,
        "peak_mb": peak,
        "rows": frame.height,
    }
    if arguments.get("digest"):
        answer["digest"] = _digest(frame)
    return answer


def _timed(
    join: Callable[[pl.DataFrame], pl.DataFrame], entities: pl.DataFrame
) -> tuple[pl.DataFrame, float]:
    started = time.perf_counter()
    frame = join(entities)
    return frame, time.perf_counter() - started


def _digest(frame: pl.DataFrame) -> str:
    columns = sorted(name for name in frame.columns if "__" in name)
    return frame_digest(
        frame.select("flight_id", *(pl.col(name).cast(pl.Float64) for name in columns))
    )
