"""The flights of 2013 as the tables of the specification, and the feature values computed from
them.

When something is known
-----------------------
* A flight's row is known when it is asked about, `asked_at` = scheduled departure less three hours.
* An arrival is known 15 minutes after the flight reached the gate (`known_at`), so a label never
  comes before the landing and, for flights over midnight or with long delays, often in the next
  window. Cancelled and diverted flights have none.
* An observation filed under 08:00 is made at 08:51 and known at 08:55.

What a stamp means
------------------
A feature row with `event_timestamp` T knows exactly what was known *strictly before* T, and serves
questions from T on. Hourly views have a row at each full hour, daily views at 00:00 UTC. Raw
windows are `[start, end)`; so all that is known before `end` is there when an interval has been
ingested, and the row stamped `end` can be and is computed with it. The feature rows of an interval
are therefore those stamped in `(start, end]`: after it, a question at `end` plus ten minutes finds
fresh values. Consecutive intervals of any length (months or hours) tile the stamps without gap or
overlap.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.interval import Interval
from include.tables.store import TIMESTAMP, TableStore, in_window
from include.use_cases.flight_delays.source import read_flights, read_planes, read_weather
from include.use_cases.flight_delays.spec import USE_CASE

LOOK_BACK = timedelta(days=28)
STAMP = "event_timestamp"
WEATHER_VALUES = (
    "temperature",
    "humidity",
    "wind_speed",
    "precipitation",
    "pressure",
    "visibility",
)


def read_source(interval: Interval, share: float) -> dict[str, pl.DataFrame]:
    """The source's rows per table: windowed tables those known in `[start, end)`, static ones
    whole.

    `share` (0 to 1] takes that share of the flights, always the same ones; weather and planes stay
    whole.
    """
    flights = read_flights(share, interval)
    frames = {
        "raw/flights": flights,
        "raw/arrivals": flights.filter(pl.col("known_at").is_not_null()),
        "raw/weather": read_weather(),
        "raw/planes": read_planes(),
    }
    rows: dict[str, pl.DataFrame] = {}
    for table in USE_CASE.tables:
        frame = frames[table.name].select([column.name for column in table.columns])
        if table.time_column is not None:
            frame = frame.filter(in_window(table.time_column, interval.start, interval.end)).sort(
                table.time_column, *table.key
            )
        rows[table.name] = frame
    return rows


def compute_features(tables: TableStore, interval: Interval) -> dict[str, pl.DataFrame]:
    """Feature view -> its rows stamped in `(start, end]` (see the module), static views whole.

    Reads the raw tables from 28 days before the interval to its end, nothing later. A rate over no
    arrival is null. Daily rows exist for carriers and origins that had an arrival, and for routes
    that had a flight, in the 28 days before.
    """
    since = interval.start - LOOK_BACK - timedelta(days=1)
    arrivals = tables.read("raw/arrivals", where=in_window("known_at", since, interval.end))
    flights = tables.read("raw/flights", where=in_window("asked_at", since, interval.end))
    weather = tables.read(
        "raw/weather",
        where=in_window("known_at", interval.start - timedelta(hours=1), interval.end),
    )
    return {
        "carrier_daily": _rates(arrivals, ["carrier"], "1d", {"7d": 7, "28d": 28}, interval).drop(
            "arrivals_28d"
        ),
        "route_daily": _routes(arrivals, flights, interval),
        "origin_hourly": _rates(arrivals, ["origin"], "1h", {"6h": 6, "24h": 24}, interval).drop(
            "arrivals_24h"
        ),
        "weather_hourly": _weather(weather, interval),
        "plane": tables.read("raw/planes").select(
            "tailnum",
            pl.lit(USE_CASE.schedule.start).cast(TIMESTAMP).alias(STAMP),
            "built_year",
            "seats",
        ),
    }


def _rates(
    arrivals: pl.DataFrame, keys: list[str], every: str, windows: dict[str, int], interval: Interval
) -> pl.DataFrame:
    """Per key and stamp:

    `late_rate_<w>` and `arrivals_<w>` over the last `windows[w]` whole buckets before the stamp.
    """
    buckets = arrivals.group_by(*keys, _next(every, "known_at")).agg(
        pl.len().cast(pl.Int64).alias("arrivals"), pl.col("late").sum()
    )
    grid = _grid(buckets, keys, every, interval).sort(*keys, STAMP)
    counts = grid.with_columns(
        pl.col(name)
        .fill_null(0)
        .rolling_sum(size, min_samples=1)
        .over(keys)
        .alias(f"{name}_{label}")
        for label, size in windows.items()
        for name in ("arrivals", "late")
    ).with_columns(_alive(every, keys))
    rates = counts.with_columns(
        pl.when(pl.col(f"arrivals_{label}") > 0)
        .then(pl.col(f"late_{label}") / pl.col(f"arrivals_{label}"))
        .alias(f"late_rate_{label}")
        for label in windows
    )
    values = [f"{name}_{label}" for name in ("late_rate", "arrivals") for label in windows]
    return rates.filter(_stamped_in(interval) & pl.col("alive")).select(*keys, STAMP, *values)


def _routes(arrivals: pl.DataFrame, flights: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    keys = ["origin", "dest"]
    timetable = flights.group_by(*keys, _next("1d", "asked_at")).agg(pl.col("distance").max())
    distances = _grid(timetable, keys, "1d", interval).sort(*keys, STAMP)
    distances = distances.with_columns(
        pl.col("distance").rolling_max(LOOK_BACK.days, min_samples=1).over(keys)
    )
    rows = distances.filter(_stamped_in(interval) & pl.col("distance").is_not_null())
    rates = _rates(arrivals, keys, "1d", {"28d": LOOK_BACK.days}, interval)
    rows = rows.join(rates, on=[*keys, STAMP], how="left", maintain_order="left")
    return rows.select(
        *keys, STAMP, "late_rate_28d", pl.col("arrivals_28d").fill_null(0), "distance"
    )


def _weather(weather: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    rows = weather.with_columns(_next("1h", "known_at")).filter(_stamped_in(interval))
    return rows.sort("origin", STAMP).select("origin", STAMP, *WEATHER_VALUES)


def _next(every: str, moment: str) -> pl.Expr:
    """The first stamp of which `moment` is strictly before: the start of the next bucket."""
    return pl.col(moment).dt.truncate(every).dt.offset_by(every).alias(STAMP)


def _stamped_in(interval: Interval) -> pl.Expr:
    return (pl.col(STAMP) > interval.start) & (pl.col(STAMP) <= interval.end)


def _alive(every: str, keys: list[str]) -> pl.Expr:
    """Whether the key had an arrival in the look-back before the stamp, however the interval was
    cut.
    """
    size = LOOK_BACK // (timedelta(days=1) if every == "1d" else timedelta(hours=1))
    return (pl.col("arrivals").fill_null(0).rolling_sum(size, min_samples=1).over(keys) > 0).alias(
        "alive"
    )


def _grid(buckets: pl.DataFrame, keys: list[str], every: str, interval: Interval) -> pl.DataFrame:
    """`buckets` with a row for every key and every stamp from the look-back on, values null where
    there was nothing.
    """
    first, last = (
        pl.Series([moment]).dt.truncate(every)[0]
        for moment in (interval.start - LOOK_BACK, interval.end)
    )
    stamps = (
        pl.datetime_range(first, last, every, time_zone="UTC", time_unit="us", eager=True)
        .cast(TIMESTAMP)
        .alias(STAMP)
        .to_frame()
    )
    grid = buckets.select(keys).unique().join(stamps, how="cross")
    return grid.join(buckets, on=[*keys, STAMP], how="left")
