from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.interval import Interval
from include.quality.landing import write_rows
from include.tables.store import TableStore
from include.use_cases.flight_delays.data import compute_features, read_source
from include.use_cases.flight_delays.spec import USE_CASE

pytestmark = pytest.mark.slow  # measured at two seconds or more

HISTORY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 20, tzinfo=UTC))
TWO_DAYS = Interval(datetime(2013, 2, 10, tzinfo=UTC), datetime(2013, 2, 12, tzinfo=UTC))


def fill(root: Path, interval: Interval) -> TableStore:
    tables = TableStore(str(root))
    rows = read_source(interval, 1.0)
    for table in USE_CASE.tables:
        write_rows(tables, table.name, table, rows[table.name], interval)
    return tables


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    return fill(tmp_path_factory.mktemp("raw"), HISTORY)


@pytest.fixture(scope="module")
def features(tables: TableStore) -> dict[str, pl.DataFrame]:
    return compute_features(tables, TWO_DAYS)


def by_hand(
    tables: TableStore, stamp: datetime, look_back: timedelta, **keys: str
) -> tuple[int, float | None]:
    """Arrivals known in `[stamp - look_back, stamp)` and the share of late ones."""
    known = (pl.col("known_at") >= stamp - look_back) & (pl.col("known_at") < stamp)
    rows = tables.read("raw/arrivals", where=known).filter(
        *[pl.col(name) == value for name, value in keys.items()]
    )
    return rows.height, rows["late"].mean() if rows.height else None


def one(frame: pl.DataFrame, stamp: datetime, **keys: str) -> dict[str, object]:
    rows = frame.filter(
        pl.col("event_timestamp") == stamp, *[pl.col(name) == value for name, value in keys.items()]
    )
    assert rows.height == 1
    return rows.row(0, named=True)


@pytest.mark.parametrize("carrier", ["UA", "HA", "OO", "YV"])
def test_carrier_rates_equal_those_counted_by_hand(tables, features, carrier):
    stamp = TWO_DAYS.end
    rows = features["carrier_daily"].filter(
        pl.col("carrier") == carrier, pl.col("event_timestamp") == stamp
    )
    count, late = by_hand(tables, stamp, timedelta(days=28), carrier=carrier)
    assert rows.height == (1 if count else 0)
    for row in rows.iter_rows(named=True):
        week, week_late = by_hand(tables, stamp, timedelta(days=7), carrier=carrier)
        assert row["arrivals_7d"] == week
        assert row["late_rate_7d"] == (
            None if week_late is None else pytest.approx(week_late, abs=1e-12)
        )
        assert row["late_rate_28d"] == pytest.approx(late, abs=1e-12)


def test_every_route_equals_the_count_by_hand(tables, features):
    stamp = datetime(2013, 2, 11, tzinfo=UTC)
    rows = features["route_daily"].filter(pl.col("event_timestamp") == stamp)
    assert rows.height > 150
    for row in rows.head(60).iter_rows(named=True):
        count, late = by_hand(
            tables, stamp, timedelta(days=28), origin=row["origin"], dest=row["dest"]
        )
        assert row["arrivals_28d"] == count
        assert row["late_rate_28d"] == (None if late is None else pytest.approx(late, abs=1e-12))


def test_a_routes_distance_is_the_timetables(tables, features):
    distances = (
        tables.read("raw/flights")
        .group_by("origin", "dest")
        .agg(pl.col("distance").min().alias("low"), pl.col("distance").max().alias("high"))
    )
    joined = features["route_daily"].join(distances, on=["origin", "dest"])
    assert joined.height == features["route_daily"].height
    assert ((joined["distance"] >= joined["low"]) & (joined["distance"] <= joined["high"])).all()


@pytest.mark.parametrize("hour", [1, 5, 9, 14, 23, 30, 48])
def test_origin_rates_equal_those_counted_by_hand(tables, features, hour):
    stamp = TWO_DAYS.start + timedelta(hours=hour)
    for origin in ("EWR", "JFK", "LGA"):
        row = one(features["origin_hourly"], stamp, origin=origin)
        count, late = by_hand(tables, stamp, timedelta(hours=6), origin=origin)
        assert row["arrivals_6h"] == count
        assert row["late_rate_6h"] == (None if late is None else pytest.approx(late, abs=1e-12))
        assert row["late_rate_24h"] == pytest.approx(
            by_hand(tables, stamp, timedelta(hours=24), origin=origin)[1], abs=1e-12
        )


def test_a_rate_over_no_arrival_is_null(tables):
    first_morning = Interval(datetime(2013, 2, 9, tzinfo=UTC), datetime(2013, 2, 9, 23, tzinfo=UTC))
    rows = compute_features(tables, first_morning)["origin_hourly"].filter(
        pl.col("arrivals_6h") == 0
    )
    assert rows.height > 0  # the snow storm of 8 and 9 February
    assert rows["late_rate_6h"].null_count() == rows.height


def test_weather_is_stamped_at_the_first_full_hour_after_it_is_known(tables, features):
    weather = features["weather_hourly"]
    assert weather["event_timestamp"].min() == TWO_DAYS.start + timedelta(hours=1)
    assert weather["event_timestamp"].max() == TWO_DAYS.end
    stamp = datetime(2013, 2, 11, 15, tzinfo=UTC)
    observed = tables.read(
        "raw/weather",
        where=(pl.col("observed_at") == stamp - timedelta(hours=1)) & (pl.col("origin") == "JFK"),
    )
    assert one(weather, stamp, origin="JFK")["pressure"] == observed["pressure"].item()
    assert observed["known_at"].item() < stamp


def test_rows_are_stamped_after_the_start_up_to_and_with_the_end(features):
    for name in ("carrier_daily", "route_daily", "origin_hourly", "weather_hourly"):
        stamps = features[name]["event_timestamp"]
        assert stamps.min() > TWO_DAYS.start
        assert stamps.max() == TWO_DAYS.end


@pytest.mark.parametrize("minutes", [60, 90, 24 * 60])
def test_short_intervals_make_the_same_rows_as_a_long_one(tables, features, minutes):
    starts = [
        TWO_DAYS.start + timedelta(minutes=passed) for passed in range(0, 2 * 24 * 60, minutes)
    ]
    parts = [
        compute_features(tables, Interval(start, start + timedelta(minutes=minutes)))
        for start in starts
    ]
    for name in ("carrier_daily", "route_daily", "origin_hourly", "weather_hourly"):
        order = [
            column
            for column in features[name].columns
            if column in ("carrier", "origin", "dest", "event_timestamp")
        ]
        together = pl.concat([part[name] for part in parts]).sort(order)
        assert together.equals(features[name].sort(order)), name


def test_what_comes_after_the_interval_changes_nothing(tmp_path, features):
    nothing_later = fill(tmp_path, Interval(HISTORY.start, TWO_DAYS.end))
    again = compute_features(nothing_later, TWO_DAYS)
    for name, frame in features.items():
        assert again[name].sort(frame.columns).equals(frame.sort(frame.columns)), name


def test_planes_hold_from_the_first_day(features):
    plane = features["plane"]
    assert plane["event_timestamp"].unique().to_list() == [USE_CASE.schedule.start]
    assert plane["tailnum"].n_unique() == plane.height
