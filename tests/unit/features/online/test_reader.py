"""The fast look-up against Feast's public one, on the same store: values and states, before and
after it changes.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from include.errors import FeatureStoreError
from include.features.online.store import WAIT_SECONDS, OnlineFeatures, materialise
from include.features.store import apply_definitions, open_store, use_case_views
from include.settings import Settings
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings

pytestmark = pytest.mark.slow  # measured at two seconds or more

MOMENT = datetime(2013, 2, 5, 12, tzinfo=UTC)
NAMES = ("carrier", "origin", "dest", "tailnum")
KEYS = [
    {"carrier": carrier, "origin": origin, "dest": dest, "tailnum": tailnum}
    for carrier, tailnum in (
        ("UA", "N14228"),
        ("B6", "N804JB"),
        ("HA", "N380HA"),
        ("??", "N0"),
        ("AA", "N3ALAA"),
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


@pytest.fixture
def settings(two_months: Settings, tmp_path: Path) -> Settings:
    """The tables of two months with an online store that holds them until `MOMENT`."""
    shutil.copytree(Path(two_months.tables_uri) / "features", tmp_path / "tables" / "features")
    made = home_settings(tmp_path)
    apply_definitions(made)
    materialise(USE_CASE, made, MOMENT)
    return made


@pytest.fixture
def online(settings: Settings) -> OnlineFeatures:
    return OnlineFeatures(USE_CASE, settings)


def through_feast(settings: Settings) -> tuple[dict[str, list[Any]], dict[str, list[str]]]:
    """Values and states per feature of Feast's public look-up."""
    from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

    store = open_store(settings)
    service = store.get_feature_service(USE_CASE.feature_service)
    answer = store.get_online_features(service, entity_rows=KEYS, full_feature_names=True)
    states = {
        name: [FieldStatus.Name(state) for state in result.statuses]
        for name, result in zip(
            answer.proto.metadata.feature_names.val, answer.proto.results, strict=True
        )
    }
    values = answer.to_dict()
    return {name: values[name] for name in values if "__" in name}, states


def test_values_and_states_are_those_of_feasts_public_look_up(
    settings: Settings, online: OnlineFeatures
):
    found = online.lookup_rows(KEYS, [MOMENT] * len(KEYS))
    for _ in range(2):  # what was read, and what was kept
        values, states = through_feast(settings)
        assert set(found.features[0]) == set(values)
        for name, column in values.items():
            view = name.partition("__")[0]
            assert [row[name] for row in found.features] == [
                None if view in old else value
                for value, old in zip(column, found.stale, strict=True)
            ]
            assert [view in unknown for unknown in found.unknown] == [
                state == "NOT_FOUND" for state in states[name]
            ]
        found = online.lookup_rows(KEYS, [MOMENT] * len(KEYS))
    seen = {state for column in states.values() for state in column}
    assert {"PRESENT", "NOT_FOUND"} <= seen


def test_a_row_past_its_time_to_live_is_given_as_stale_and_without_values(online: OnlineFeatures):
    later = online.lookup_rows(KEYS[:1], [MOMENT + timedelta(days=60)])
    assert later.stale == [("carrier_daily", "route_daily", "origin_hourly", "weather_hourly")]
    assert [name for name, value in later.features[0].items() if value is not None] == [
        "plane__built_year",
        "plane__seats",
    ]


def test_a_null_key_is_unknown(online: OnlineFeatures):
    found = online.lookup_rows([KEYS[0] | {"tailnum": None}], [MOMENT])
    assert found.unknown == [("plane",)]


def test_what_another_connection_commits_is_in_the_next_answer(
    settings: Settings, online: OnlineFeatures
):
    moment = MOMENT + timedelta(days=3)
    before = online.lookup_rows(KEYS, [moment] * len(KEYS))
    materialise(USE_CASE, settings, moment)
    after = online.lookup_rows(KEYS, [moment] * len(KEYS))
    assert before.features != after.features
    assert (
        after.features
        == OnlineFeatures(USE_CASE, settings).lookup_rows(KEYS, [moment] * len(KEYS)).features
    )


def test_another_file_in_the_stores_place_is_read(settings: Settings, online: OnlineFeatures):
    online.lookup_rows(KEYS[:1], [MOMENT])
    path = settings.feature_store_dir / "online.db"
    other = path.with_name("other.db")
    with sqlite3.connect(path) as source, sqlite3.connect(other) as copy:
        source.backup(copy)
        for view in use_case_views(USE_CASE, open_store(settings)):
            copy.execute(f'DELETE FROM "flightdeck_{view.name}"')
    copy.close()
    other.replace(path)
    for beside in ("online.db-wal", "online.db-shm"):
        (path.with_name(beside)).unlink(missing_ok=True)
    assert online.lookup_rows(KEYS[:1], [MOMENT]).unknown == [
        ("carrier_daily", "route_daily", "origin_hourly", "weather_hourly", "plane")
    ]


def test_a_locked_store_is_told_at_once_where_nobody_may_wait_and_waited_for_elsewhere(
    settings: Settings, tmp_path: Path
):
    home = home_settings(tmp_path / "home")
    shutil.copytree(settings.feature_store_dir, home.feature_store_dir)
    holder = sqlite3.connect(
        home.feature_store_dir / "online.db", isolation_level=None, check_same_thread=False
    )
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    online = OnlineFeatures(USE_CASE, home)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        online.lookup_rows(KEYS, [MOMENT] * len(KEYS), wait=False)
    Timer(0.3, holder.close).start()
    started = time.perf_counter()
    waited = online.lookup_rows(KEYS, [MOMENT] * len(KEYS))
    assert time.perf_counter() - started > 0.2
    assert waited == OnlineFeatures(USE_CASE, settings).lookup_rows(KEYS, [MOMENT] * len(KEYS))


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 8, 120)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_store_whose_read_locks_are_held_is_told_at_once(settings: Settings):
    online = OnlineFeatures(USE_CASE, settings)
    answer = online.lookup_rows(KEYS, [MOMENT] * len(KEYS))
    path = settings.feature_store_dir / "online.db-shm"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        started = time.perf_counter()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            online.lookup_rows(KEYS[:3], [MOMENT] * 3, wait=False)
        assert time.perf_counter() - started < 0.5
        holder.kill()
    assert online.lookup_rows(KEYS, [MOMENT] * len(KEYS)) == answer


def test_a_store_that_is_locked_for_long_is_away_and_nobody_waits_for_it_again(
    settings: Settings,
):
    online = OnlineFeatures(USE_CASE, settings)
    answer = online.lookup_rows(KEYS, [MOMENT] * len(KEYS))
    path = settings.feature_store_dir / "online.db-shm"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        assert online.is_readable, "a short lock is no outage"
        started = time.perf_counter()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            online.lookup_rows(KEYS[:3], [MOMENT] * 3)
        waited = time.perf_counter()
        assert waited - started >= WAIT_SECONDS - 0.5
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            online.lookup_rows(KEYS[:3], [MOMENT] * 3)
        assert time.perf_counter() - waited < WAIT_SECONDS / 2
        assert not online.is_readable
        holder.kill()
    assert online.is_readable
    assert online.lookup_rows(KEYS, [MOMENT] * len(KEYS)) == answer


def test_a_store_that_is_gone_is_told_by_its_path(settings: Settings):
    online = OnlineFeatures(USE_CASE, settings)
    answer = online.lookup_rows(KEYS, [MOMENT] * len(KEYS))
    assert online.is_readable
    path = settings.feature_store_dir / "online.db"
    path.rename(path.with_name("away"))
    assert not online.is_readable
    with pytest.raises(FeatureStoreError, match=r"online.db is not there. Run the features"):
        online.lookup_rows(KEYS[:1], [MOMENT])
    path.with_name("away").rename(path)
    assert online.lookup_rows(KEYS, [MOMENT] * len(KEYS)) == answer
