from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import DataError, NotReadyYet
from include.interval import Interval
from include.processes.features import compute_features, materialise_online
from include.settings import Settings
from include.steps import RunInfo
from include.tables.completed import is_complete
from include.tables.store import TableStore
from proofs.harness.home import home_settings
from tests.step_runs import run_step
from tests.unit.features.world import context_of

FEBRUARY = (datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))


def test_computing_again_writes_no_new_version(two_months: Settings):
    context = context_of(two_months, *FEBRUARY)
    tables = TableStore(two_months.tables_uri)
    before = {
        name: tables.version(f"features/{name}")
        for name in ("carrier_daily", "route_daily", "origin_hourly", "weather_hourly", "plane")
    }
    result = run_step(compute_features, context)
    assert {view: version["version"] for view, version in result["tables"].items()} == before
    assert json.loads(json.dumps(result)) == result


def test_the_interval_is_marked_complete(two_months: Settings):
    tables = TableStore(two_months.tables_uri)
    assert is_complete(
        tables,
        "flight_delays",
        "features",
        Interval(datetime(2013, 1, 15, tzinfo=UTC), FEBRUARY[1]),
    )
    assert not is_complete(
        tables, "flight_delays", "features", Interval(FEBRUARY[0], datetime(2013, 3, 2, tzinfo=UTC))
    )


def test_half_a_history_is_refused_with_the_missing_days(tmp_path: Path):
    with pytest.raises(
        NotReadyYet, match=r"\[2013-01-04 00:00, 2013-03-01 00:00\) has not been ingested"
    ):
        run_step(compute_features, context_of(home_settings(tmp_path), *FEBRUARY))


def test_materialising_stops_where_the_run_says(two_months: Settings):
    context = context_of(two_months, *FEBRUARY)
    early = replace(
        context,
        run=RunInfo("features", "test", params={"materialise_until": "2013-01-20T00:00:00+00:00"}),
    )
    assert run_step(materialise_online, early)["until"] == "2013-01-20T00:00:00+00:00"
    result = materialise_online(
        context, until=datetime.fromisoformat("2013-01-21T00:00:00-01:00")
    ).as_json()
    assert result["until"] == "2013-01-21T01:00:00+00:00"
    assert result["views"]["weather_hourly"] == {"written": 3, "skipped": 0}
    assert run_step(materialise_online, context)["until"] == "2013-03-01T00:00:00+00:00"
    with pytest.raises(DataError, match="no time zone"):
        materialise_online(context, until=datetime.fromisoformat("2013-01-21T00:00:00"))
