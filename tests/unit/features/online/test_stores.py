"""Every online store that has a reader of its own: the same answers as Feast's public look-up, and
what happens when it is away.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.errors import FeatureStoreError
from include.features.online.postgres import PostgresReader
from include.features.online.redis import RedisReader
from include.features.online.store import LookedUp, OnlineFeatures, materialise
from include.features.store import apply_definitions
from include.settings import Settings
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.store_servers import PASSWORD, StoreServer
from tests.unit.features.online.stores import (
    TIME_ZERO,
    Servers,
    home_with,
    through_feasts_public_look_up,
)

pytestmark = pytest.mark.slow  # measured at two seconds or more

MOMENT = datetime(2013, 2, 5, 12, tzinfo=UTC)
ONE = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "tailnum": "N14228"}
ROWS = [
    {"carrier": carrier, "origin": origin, "dest": dest, "tailnum": tailnum}
    for carrier, tailnum in (
        ("UA", "N14228"),
        ("B6", "N804JB"),
        ("HA", "N380HA"),
        ("??", "N0"),
        ("DL", "N725MQ"),
    )
    for origin, dest in (
        ("EWR", "IAH"),
        ("JFK", "BQN"),
        ("LGA", "ATL"),
        ("EWR", "JFK"),
        ("XXX", "ÿ'\""),
    )
]
LONGEST_SECONDS = 5.0


@pytest.fixture(params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[StoreServer]:
    """One of the servers, empty at first and running at the end."""
    running = servers[request.param]
    running.clear()
    yield running
    running.thaw()


@pytest.fixture
def settings(server: StoreServer, two_months: Settings, tmp_path: Path) -> Settings:
    """The tables of two months with some nulls, and the server as an online store that holds them
    until `MOMENT`.
    """
    settings = home_with(two_months, tmp_path, server.url)
    with_nulls(settings)
    materialise(USE_CASE, settings, MOMENT)
    return settings


@pytest.fixture
def online(settings: Settings) -> Iterator[OnlineFeatures]:
    yield (features := OnlineFeatures(USE_CASE, settings))
    if features._opened is not None:
        features._opened.close()


def with_nulls(settings: Settings) -> None:
    """Newark's rows lack one value, Kennedy's all."""
    tables = TableStore(settings.tables_uri)
    weather = tables.read("features/weather_hourly")
    names = [name for name, kind in weather.schema.items() if kind == pl.Float64]
    newark, kennedy = pl.col("origin") == "EWR", pl.col("origin") == "JFK"
    nulled = [
        pl.when(kennedy | (newark & (name == "humidity")))
        .then(None)
        .otherwise(pl.col(name))
        .alias(name)
        for name in names
    ]
    tables.replace_all("features/weather_hourly", weather.with_columns(nulled))


def look_up(online: OnlineFeatures, moment: datetime = MOMENT) -> LookedUp:
    return online.lookup_rows(ROWS, [moment] * len(ROWS))


def test_values_states_and_times_are_those_of_feasts_public_look_up(
    server: StoreServer, settings: Settings, online: OnlineFeatures
):
    for moment in (MOMENT, MOMENT + timedelta(days=3)):
        materialise(USE_CASE, settings, moment)
        found = look_up(online, moment)
        theirs = through_feasts_public_look_up(settings, ROWS)
        assert not any(found.stale)
        assert set(found.features[0]) == set(theirs.values)
        for name, column in theirs.values.items():
            view = name.partition("__")[0]
            assert [row[name] for row in found.features] == column
            # Feast's Redis store calls everything present, and what it does not hold is of the time
            # zero.
            missing = [stamp == TIME_ZERO for stamp in theirs.times[name]]
            assert [view in unknown for unknown in found.unknown] == missing
            if server.url.startswith("postgresql"):
                assert missing == [state == "NOT_FOUND" for state in theirs.states[name]]
        known = [
            row for row, unknown in zip(found.features, found.unknown, strict=True) if not unknown
        ]
        assert any(
            row["weather_hourly__humidity"] is None is not row["weather_hourly__temperature"]
            for row in known
        )
        assert any(row["weather_hourly__temperature"] is None for row in known)
        assert any(unknown == ("carrier_daily", "plane") for unknown in found.unknown)


def test_times_are_feasts_to_the_last_digit(settings: Settings, online: OnlineFeatures):
    opened = online._open()
    asked = [[tuple(ONE[name] for name in view.join_keys)] for view in opened.views]
    theirs = through_feasts_public_look_up(settings, [ONE]).times
    for view, keys, held in zip(opened.views, asked, opened.read(asked, wait=True), strict=True):
        row = held[keys[0]]
        assert row is not None
        assert theirs[view.column(view.features[0])] == [row[0]]
    assert theirs["weather_hourly__humidity"] == [MOMENT]


def test_a_row_past_its_time_to_live_is_given_as_stale_and_without_values(online: OnlineFeatures):
    edge = online.lookup_rows([ONE], [MOMENT + timedelta(hours=6)])
    assert edge.stale == [()]
    (newest,) = online.newest([ONE])
    assert newest == MOMENT
    early = online.lookup_rows([ONE], [newest - timedelta(microseconds=1)])
    assert (edge.newer, early.newer) == ([()], [("origin_hourly", "weather_hourly")])
    past = online.lookup_rows([ONE], [MOMENT + timedelta(hours=6, seconds=1)])
    assert past.stale == [("origin_hourly", "weather_hourly")]
    assert past.features[0]["weather_hourly__temperature"] is None
    assert past.features[0]["carrier_daily__late_rate_7d"] is not None


def test_a_null_key_is_unknown_and_the_same_key_twice_is_answered_twice(online: OnlineFeatures):
    found = online.lookup_rows([ONE | {"tailnum": None}, ONE, ONE], [MOMENT] * 3)
    assert found.unknown == [("plane",), (), ()]
    assert found.features[1] == found.features[2]
    assert online.lookup_rows([], []).features == []


def test_materialising_again_an_old_moment_or_a_correction(
    settings: Settings, online: OnlineFeatures
):
    before = look_up(online)
    again = materialise(USE_CASE, settings, MOMENT)
    assert all(counts["written"] == 0 and counts["skipped"] > 0 for counts in again.values())
    materialise(USE_CASE, settings, MOMENT - timedelta(days=10))
    assert look_up(online) == before
    tables = TableStore(settings.tables_uri)
    tables.replace_all(
        "features/weather_hourly",
        tables.read("features/weather_hourly").with_columns(humidity=pl.lit(12.5)),
    )
    assert materialise(USE_CASE, settings, MOMENT)["weather_hourly"] == {"written": 3, "skipped": 0}
    assert online.lookup_rows([ONE], [MOMENT]).features[0]["weather_hourly__humidity"] == 12.5


def test_without_a_reader_feast_itself_gives_the_same(
    settings: Settings, online: OnlineFeatures, monkeypatch: pytest.MonkeyPatch
):
    expected = look_up(online)
    for reader in (RedisReader, PostgresReader):
        monkeypatch.setattr(reader, "reads", lambda _: False)
    through_feast = OnlineFeatures(USE_CASE, settings)
    assert look_up(through_feast) == expected
    assert through_feast.blocks
    assert through_feast._opened is not None
    assert through_feast._opened._reader is None


def test_threads_share_one_look_up(online: OnlineFeatures):
    expected = look_up(online)
    with ThreadPoolExecutor(4) as pool:
        assert all(answer == expected for answer in pool.map(lambda _: look_up(online), range(40)))


def test_a_server_that_was_started_anew_is_found_again(
    server: StoreServer, settings: Settings, online: OnlineFeatures
):
    expected = look_up(online)
    server.stop()
    server.start()
    assert look_up(online) == expected
    assert (
        materialise(USE_CASE, settings, MOMENT + timedelta(days=1))["weather_hourly"]["written"]
        == 3
    )


def test_a_store_that_is_away_is_named_within_its_time(
    server: StoreServer, settings: Settings, online: OnlineFeatures
):
    expected = look_up(online)
    server.stop()
    try:
        for _ in range(2):  # with a connection that broke, and without one
            assert f"127.0.0.1:{server.port}" in failure(online)
        with pytest.raises(FeatureStoreError, match="does not answer as it should"):
            materialise(USE_CASE, settings, MOMENT)
    finally:
        server.start()
    assert look_up(online) == expected


def test_a_store_that_hangs_is_named_within_its_time(server: StoreServer, online: OnlineFeatures):
    expected = look_up(online)
    server.freeze()
    try:
        failure(online)
        failure(online)
    finally:
        server.thaw()
    assert look_up(online) == expected


def failure(online: OnlineFeatures) -> str:
    """The text of the error that a look-up ends with, soon."""
    started = time.monotonic()
    with pytest.raises(FeatureStoreError, match="FLIGHTDECK_ONLINE_STORE") as raised:
        look_up(online)
    assert time.monotonic() - started < LONGEST_SECONDS
    assert PASSWORD not in str(raised.value)
    return str(raised.value)


def test_a_store_without_the_definitions_is_told(
    server: StoreServer, settings: Settings, online: OnlineFeatures
):
    expected = look_up(online)
    server.clear()
    if server.url.startswith("redis"):
        assert all(len(unknown) == 5 for unknown in look_up(online).unknown)
    else:
        assert "the definitions are applied to it" in failure(online)
    (settings.feature_store_dir / "applied.sha256").unlink()
    apply_definitions(settings)
    materialise(USE_CASE, settings, MOMENT)
    assert look_up(online) == expected


def test_another_address_applies_the_definitions_again(settings: Settings):
    assert not apply_definitions(settings)
    assert apply_definitions(settings.model_copy(update={"online_store": None}))


def test_only_a_look_up_in_a_local_file_may_be_made_in_an_event_loop(
    two_months: Settings, online: OnlineFeatures
):
    local = OnlineFeatures(USE_CASE, two_months)
    assert local.blocks  # opening takes seconds
    local.refresh()
    online.refresh()
    assert (local.blocks, online.blocks) == (False, True)
