from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.errors import DataError, FeatureStoreError
from include.features.online.store import OnlineFeatures, materialise
from include.features.store import apply_definitions, open_store
from include.settings import Settings
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings

pytestmark = pytest.mark.slow  # measured at two seconds or more

MOMENT = datetime(2013, 2, 5, 12, tzinfo=UTC)
KEYS = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "tailnum": "N14228"}


@pytest.fixture
def settings(two_months: Settings, tmp_path: Path) -> Settings:
    """The same tables with an empty online store."""
    shutil.copytree(Path(two_months.tables_uri) / "features", tmp_path / "tables" / "features")
    settings = home_settings(tmp_path)
    apply_definitions(settings)
    return settings


def humidity(settings: Settings, asked: datetime = MOMENT) -> float | None:
    value: float | None = (
        OnlineFeatures(USE_CASE, settings)
        .lookup([KEYS], [asked])
        .columns["weather_hourly__humidity"][0]
    )
    return value


def stored_humidity(settings: Settings, moment: datetime) -> float:
    where = (pl.col("origin") == "EWR") & (pl.col("event_timestamp") == moment)
    value: float = (
        TableStore(settings.tables_uri)
        .read("features/weather_hourly", where=where)["humidity"]
        .item()
    )
    return value


def test_the_newest_row_known_at_the_moment_is_served(settings: Settings):
    materialise(USE_CASE, settings, MOMENT + timedelta(minutes=59))
    assert humidity(settings) == stored_humidity(settings, MOMENT)


def test_repeating_writes_nothing(settings: Settings):
    first = materialise(USE_CASE, settings, MOMENT)
    again = materialise(USE_CASE, settings, MOMENT)
    assert all(counts["written"] > 0 and counts["skipped"] == 0 for counts in first.values())
    assert all(
        counts == {"written": 0, "skipped": first[view]["written"]}
        for view, counts in again.items()
    )


def test_an_old_moment_never_overwrites_newer_values(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    materialise(USE_CASE, settings, MOMENT - timedelta(days=10))
    assert humidity(settings) == stored_humidity(settings, MOMENT)


def test_a_corrected_value_of_the_same_stamp_is_taken_over(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    tables = TableStore(settings.tables_uri)
    corrected = tables.read("features/weather_hourly").with_columns(humidity=pl.lit(12.5))
    tables.replace_all("features/weather_hourly", corrected)
    assert materialise(USE_CASE, settings, MOMENT)["weather_hourly"] == {"written": 3, "skipped": 0}
    assert humidity(settings) == 12.5


def test_values_past_their_ttl_are_withheld_and_named(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    online = OnlineFeatures(USE_CASE, settings)
    edge = online.lookup([KEYS], [MOMENT + timedelta(hours=6)])
    assert edge.stale == [()]
    past = online.lookup([KEYS], [MOMENT + timedelta(hours=6, seconds=1)])
    assert past.stale == [("origin_hourly", "weather_hourly")]
    assert past.columns["weather_hourly__humidity"] == [None]
    assert past.columns["carrier_daily__late_rate_7d"] != [None]
    assert past.unknown == [()]


def test_values_later_than_the_event_time_are_given_and_named(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    online = OnlineFeatures(USE_CASE, settings)
    (newest,) = online.newest([KEYS])
    assert newest == MOMENT
    assert online.lookup([KEYS], [newest]).newer == [()]
    before = online.lookup([KEYS], [newest - timedelta(microseconds=1)])
    assert before.newer == [("origin_hourly", "weather_hourly")]
    assert before.stale == [()]
    assert before.columns == online.lookup([KEYS], [newest]).columns
    assert online.newest([dict.fromkeys(KEYS, "??")]) == [None]


def test_unknown_and_null_keys_are_named(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    rows = [KEYS | {"tailnum": None}, KEYS | {"carrier": "??"}, KEYS]
    answer = OnlineFeatures(USE_CASE, settings).lookup(rows, [MOMENT] * 3)
    assert answer.unknown == [("plane",), ("carrier_daily",), ()]
    assert answer.columns["plane__seats"] == [None, 149.0, 149.0]


def test_a_null_value_of_a_known_key_is_neither_unknown_nor_stale(settings: Settings):
    tables = TableStore(settings.tables_uri)
    dry = tables.read("features/weather_hourly").with_columns(humidity=pl.lit(None, pl.Float64))
    tables.replace_all("features/weather_hourly", dry)
    materialise(USE_CASE, settings, MOMENT)
    answer = OnlineFeatures(USE_CASE, settings).lookup([KEYS], [MOMENT])
    assert (answer.columns["weather_hourly__humidity"], answer.unknown, answer.stale) == (
        [None],
        [()],
        [()],
    )


def test_equals_feasts_public_look_up(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    flights = TableStore(settings.tables_uri).read(
        "features/route_daily", where=pl.col("event_timestamp") == datetime(2013, 2, 5, tzinfo=UTC)
    )
    rows = [
        KEYS | {"origin": origin, "dest": dest}
        for origin, dest in flights.select("origin", "dest").iter_rows()
    ]
    rows.append(KEYS | {"tailnum": "NOSUCH"})
    ours = OnlineFeatures(USE_CASE, settings).lookup(rows, [MOMENT] * len(rows)).columns
    service = open_store(settings).get_feature_service(USE_CASE.feature_service)
    theirs = (
        open_store(settings).get_online_features(service, rows, full_feature_names=True).to_dict()
    )
    assert len(rows) > 100
    assert {name: theirs[name] for name in ours} == ours


def test_many_threads_share_one_look_up(settings: Settings):
    materialise(USE_CASE, settings, MOMENT)
    online = OnlineFeatures(USE_CASE, settings)
    expected = online.lookup([KEYS], [MOMENT])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: online.lookup([KEYS], [MOMENT]), range(200)))
    assert all(answer == expected for answer in answers)


def test_another_materialisation_is_seen_without_refresh(settings: Settings):
    online = OnlineFeatures(USE_CASE, settings)
    materialise(USE_CASE, settings, MOMENT - timedelta(hours=1))
    before = online.lookup([KEYS], [MOMENT]).columns["weather_hourly__humidity"]
    materialise(USE_CASE, settings, MOMENT)
    assert (
        online.lookup([KEYS], [MOMENT]).columns["weather_hourly__humidity"]
        == [stored_humidity(settings, MOMENT)]
        != before
    )


def test_wrong_calls_are_refused(settings: Settings):
    online = OnlineFeatures(USE_CASE, settings)
    with pytest.raises(DataError, match="lacks the entity key 'dest'"):
        online.lookup([{"carrier": "UA", "origin": "EWR", "tailnum": None}], [MOMENT])
    with pytest.raises(DataError, match="no time zone"):
        online.lookup([KEYS], [MOMENT.replace(tzinfo=None)])
    with pytest.raises(DataError, match="1 keys but 0 event times"):
        online.lookup([KEYS], [])
    with pytest.raises(DataError, match="no time zone"):
        materialise(USE_CASE, settings, MOMENT.replace(tzinfo=None))


def test_without_definitions_the_error_says_what_to_do(tmp_path: Path):
    with pytest.raises(FeatureStoreError, match="apply_definitions"):
        OnlineFeatures(USE_CASE, home_settings(tmp_path)).lookup([KEYS], [MOMENT])
