from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from include.interval import Interval
from include.use_cases.flight_delays.data import read_source
from include.use_cases.flight_delays.source import _read, read_flights, read_planes, read_weather

pytestmark = pytest.mark.slow  # measured at two seconds or more

NEW_YORK = ZoneInfo("America/New_York")
YEAR = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 3, tzinfo=UTC))


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return read_flights(1.0)


def test_every_flight_has_an_identifier_of_its_own(flights: pl.DataFrame):
    assert flights.height == 336_776
    assert flights["flight_id"].n_unique() == 336_776
    assert flights["flight_id"][0] == "UA1545-EWR-IAH-2013-01-01-0515"


def test_departures_in_utc_agree_with_the_published_hour_all_year(flights: pl.DataFrame):
    published = _read("flights.csv.zip")["time_hour"].str.to_datetime(
        time_unit="us", time_zone="UTC"
    )
    assert (flights["scheduled_departure"].dt.truncate("1h") == published).all()


@pytest.mark.parametrize(
    ("day", "offset"),
    [("2013-03-09", -5), ("2013-03-10", -4), ("2013-11-02", -4), ("2013-11-03", -5)],
)
def test_both_changes_of_the_clocks(flights: pl.DataFrame, day: str, offset: int):
    of_day = flights.filter(pl.col("flight_id").str.contains(f"-{day}-"))
    assert of_day.height > 500
    for flight_id, departure in of_day.select("flight_id", "scheduled_departure").iter_rows():
        local = datetime.strptime(flight_id[-15:], "%Y-%m-%d-%H%M").replace(tzinfo=NEW_YORK)
        assert departure == local.astimezone(UTC)
        assert local.utcoffset() == timedelta(hours=offset)


def test_questions_are_asked_three_hours_ahead(flights: pl.DataFrame):
    assert ((flights["scheduled_departure"] - flights["asked_at"]) == timedelta(hours=3)).all()


def test_an_arrival_is_never_known_before_the_landing(flights: pl.DataFrame):
    raw = _read("flights.csv.zip").select("dep_delay", "air_time", "arr_delay")
    landed = flights.hstack(raw).filter(pl.col("arr_delay").is_not_null())
    beside = landed.select(
        (
            (pl.col("known_at") - pl.col("scheduled_departure")).dt.total_minutes()
            - pl.col("dep_delay")
            - pl.col("air_time")
        ).alias("minutes")
    )["minutes"]
    # Reporting takes 15 minutes; the rest is taxiing, 5 to 235 minutes: a mistaken zone or day
    # would stand out by an hour.
    assert (beside.min(), beside.max()) == (20, 250)


def test_the_published_delay_is_the_difference_of_two_clocks(flights: pl.DataFrame):
    landed = flights.filter(pl.col("known_at").is_not_null())
    assert landed.height == 327_346
    minutes = (landed["known_at"] - landed["scheduled_arrival"]).dt.total_minutes() - 15
    assert (minutes == landed["arrival_delay"]).all()


def test_the_gate_is_reached_at_the_published_time_on_the_destinations_clock(flights: pl.DataFrame):
    zones = {
        "HNL": "Pacific/Honolulu",
        "LAX": "America/Los_Angeles",
        "PHX": "America/Phoenix",
        "SJU": "America/Puerto_Rico",
    }
    published = _read("flights.csv.zip")["arr_time"] % 2400
    landed = flights.with_columns(published.alias("published")).filter(
        pl.col("known_at").is_not_null()
    )
    for dest, zone in zones.items():
        rows = landed.filter(pl.col("dest") == dest)
        clock = (rows["known_at"] - timedelta(minutes=15)).dt.convert_time_zone(zone)
        assert rows.height > 300
        assert (clock.dt.hour().cast(pl.Int64) * 100 + clock.dt.minute() == rows["published"]).all()


def test_cancelled_and_diverted_flights_have_no_label(flights: pl.DataFrame):
    unlabelled = flights.filter(pl.col("known_at").is_null())
    assert unlabelled.height == 9_430
    assert unlabelled["late"].null_count() == 9_430
    assert flights["late"].sum() == (_read("flights.csv.zip")["arr_delay"] > 15).sum()


def test_windows_hold_every_row_once(flights: pl.DataFrame):
    starts = [datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 13)] + [YEAR.end]
    parts = [read_source(Interval(start, end), 0.05) for start, end in pairwise(starts)]
    whole = read_source(YEAR, 0.05)
    for name in ("raw/flights", "raw/arrivals", "raw/weather"):
        assert pl.concat([part[name] for part in parts]).equals(whole[name]), name
    asked_in_january = parts[0]["raw/flights"]["flight_id"].implode()
    assert parts[1]["raw/arrivals"]["flight_id"].is_in(asked_in_january).sum() > 0


def test_a_share_takes_the_same_flights_everywhere():
    tenth, third = read_flights(0.1), read_flights(0.3)
    assert tenth["flight_id"].is_in(third["flight_id"].implode()).all()
    assert abs(tenth.height / 336_776 - 0.1) < 0.003
    day = Interval(datetime(2013, 5, 1, tzinfo=UTC), datetime(2013, 5, 2, tzinfo=UTC))
    assert (
        read_source(day, 0.1)["raw/flights"]["flight_id"].is_in(tenth["flight_id"].implode()).all()
    )


def test_weather_is_whole_in_utc_and_without_the_broken_reading():
    weather = read_weather()
    assert weather.height == 26_115
    assert weather.select("origin", "observed_at").n_unique() == 26_115
    assert weather["wind_speed"].max() < 60
    broken = weather.filter(
        pl.col("origin") == "EWR", pl.col("observed_at") == datetime(2013, 2, 12, 8, tzinfo=UTC)
    )
    assert broken["wind_speed"].to_list() == [None]


def test_planes_are_unique():
    planes = read_planes()
    assert planes.height == planes["tailnum"].n_unique() == 3_322
