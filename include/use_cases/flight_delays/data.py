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
See `include.features.rolling`. Hourly views have a row at each full hour, daily views at 00:00 UTC.
After an interval was ingested, a question at its end plus ten minutes finds fresh values.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.features.rolling import (
    STAMP,
    Every,
    next_stamp,
    read_history,
    rolling_means,
    stamp_grid,
    stamped_in,
)
from include.interval import Interval
from include.tables.store import TIMESTAMP, TableStore, in_window
from include.use_cases.flight_delays.source import read_flights, read_planes, read_weather
from include.use_cases.flight_delays.spec import USE_CASE

LOOK_BACK = timedelta(days=28)
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
    arrivals = read_history(tables, "raw/arrivals", "known_at", interval, LOOK_BACK)
    flights = read_history(tables, "raw/flights", "asked_at", interval, LOOK_BACK)
    weather = tables.read(
        "raw/weather",
        where=in_window("known_at", interval.start - timedelta(hours=1), interval.end),
    )
    return {
        "carrier_daily": _late_rates(
            arrivals, ["carrier"], "1d", {"7d": 7, "28d": 28}, interval
        ).drop("arrivals_28d"),
        "route_daily": _routes(arrivals, flights, interval),
        "origin_hourly": _late_rates(
            arrivals, ["origin"], "1h", {"6h": 6, "24h": 24}, interval
        ).drop("arrivals_24h"),
        "weather_hourly": _weather(weather, interval),
        "plane": tables.read("raw/planes").select(
            "tailnum",
            pl.lit(USE_CASE.schedule.start).cast(TIMESTAMP).alias(STAMP),
            "built_year",
            "seats",
        ),
    }


def _late_rates(
    arrivals: pl.DataFrame,
    keys: list[str],
    every: Every,
    windows: dict[str, int],
    interval: Interval,
) -> pl.DataFrame:
    """Per key and stamp `late_rate_<window>` and `arrivals_<window>`."""
    return rolling_means(
        arrivals,
        keys,
        {"late_rate": "late"},
        moment="known_at",
        every=every,
        windows=windows,
        interval=interval,
        look_back=LOOK_BACK,
        count="arrivals",
    )


def _routes(arrivals: pl.DataFrame, flights: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    keys = ["origin", "dest"]
    timetable = flights.group_by(*keys, next_stamp("1d", "asked_at")).agg(pl.col("distance").max())
    distances = stamp_grid(timetable, keys, "1d", interval, LOOK_BACK).sort(*keys, STAMP)
    distances = distances.with_columns(
        pl.col("distance").rolling_max(LOOK_BACK.days, min_samples=1).over(keys)
    )
    rows = distances.filter(stamped_in(interval) & pl.col("distance").is_not_null())
    rates = _late_rates(arrivals, keys, "1d", {"28d": LOOK_BACK.days}, interval)
    rows = rows.join(rates, on=[*keys, STAMP], how="left", maintain_order="left")
    return rows.select(
        *keys, STAMP, "late_rate_28d", pl.col("arrivals_28d").fill_null(0), "distance"
    )


def _weather(weather: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    rows = weather.with_columns(next_stamp("1h", "known_at")).filter(stamped_in(interval))
    return rows.sort("origin", STAMP).select("origin", STAMP, *WEATHER_VALUES)
