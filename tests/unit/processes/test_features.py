from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from cli.application import invoke
from include.errors import DataError, NotReadyYet, SpecError
from include.features.statistics import statistics_table
from include.features.store import open_store
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


@pytest.mark.slow
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
    again = run_step(compute_features, context)
    assert again["statistics"] == result["statistics"]
    assert result["statistics"].keys() == before.keys()


def test_statistics_of_the_values_lie_beside_each_view_and_are_shown(
    two_months: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run_step(compute_features, context_of(two_months, *FEBRUARY))
    tables = TableStore(two_months.tables_uri)
    stored = tables.read("feature_statistics/weather_hourly").filter(
        pl.col("interval_start") == FEBRUARY[0], pl.col("feature") == "temperature"
    )
    values = tables.read("features/weather_hourly").filter(
        pl.col("event_timestamp") > FEBRUARY[0], pl.col("event_timestamp") <= FEBRUARY[1]
    )["temperature"]
    row = stored.row(0, named=True)
    assert (row["rows"], row["nulls"]) == (len(values), values.null_count())
    assert row["mean"] == pytest.approx(values.mean())
    assert row["median"] == pytest.approx(values.quantile(0.5, "linear"))

    monkeypatch.setenv("COLUMNS", "80")
    assert invoke(["features", "stats", "weather_hourly"], two_months) == 0
    printed = capsys.readouterr().out
    assert "weather_hourly, up to 2013-03-01 00:00" in printed
    assert f"{row['mean']:.4g}" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert invoke(["features", "list", "--json"], two_months) == 0
    listed = {item["view"]: item for item in json.loads(capsys.readouterr().out)}
    assert listed["weather_hourly"]["statistics"] == "feature_statistics/weather_hourly"
    assert "temperature" in listed["weather_hourly"]["features"]
    arguments = ["stats", "weather_hourly", "--feature", "temperature", "--json"]
    assert invoke(["features", *arguments], two_months) == 0
    last = json.loads(capsys.readouterr().out)[-1]
    assert (last["mean"], last["feature"]) == (row["mean"], "temperature")
    with pytest.raises(SpecError, match="did you mean 'temperature'"):
        invoke(["features", "stats", "weather_hourly", "--feature", "temperatur"], two_months)
    with pytest.raises(SpecError, match="did you mean 'weather_hourly'"):
        invoke(["features", "stats", "weather"], two_months)


def test_feast_names_the_statistics_of_each_view(two_months: Settings):
    views = open_store(two_months).list_feature_views()
    tags = {view.name: view.tags["statistics"] for view in views}
    assert tags["weather_hourly"] == statistics_table("weather_hourly")


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


@pytest.mark.slow
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
