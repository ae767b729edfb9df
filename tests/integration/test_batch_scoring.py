"""The wired batch-scoring DAG over a small real world: partitions as mapped tasks, published in one
commit.
"""

from __future__ import annotations

import json

import polars as pl
import pytest

from include.processes.batch_scoring import score_interval
from include.scoring.batch import LINEAGE_COLUMNS
from include.tables.store import in_window
from tests.integration.dag_runs import run_dag
from tests.step_runs import run_step
from tests.unit.scoring.world import FEBRUARY, JANUARY, build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("mapped") / "home")


@pytest.fixture
def in_world(world, tmp_path, monkeypatch):
    """This process's settings are the world's, with partitions of 500 rows."""
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({"flight_delays": {"batch": {"partition_rows": 500}}}))
    monkeypatch.setenv("FLIGHTDECK_HOME", str(world.settings.home))
    monkeypatch.setenv("FLIGHTDECK_MLFLOW_TRACKING_URI", world.settings.mlflow_tracking_uri)
    monkeypatch.setenv("FLIGHTDECK_SPEC_OVERLAY", str(overlay))
    return world


def test_an_interval_of_one_partition_starts_no_mapped_task(airflow_database, world, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(world.settings.home))
    monkeypatch.setenv("FLIGHTDECK_MLFLOW_TRACKING_URI", world.settings.mlflow_tracking_uri)
    run = run_dag("flight_delays__batch_scoring", JANUARY.end)
    assert run.state == "success", run
    assert run.tasks["score_partition"] == "skipped"
    assert run.tasks["publish_predictions"] == "success"
    window = in_window("asked_at", JANUARY.start, JANUARY.end)
    assert (
        run.results["publish_predictions"]["rows"]
        == world.tables.read("raw/flights", where=window).height
    )
    world.tables.replace_all(
        "flight_delays/predictions", world.tables.read("flight_delays/predictions").clear()
    )


def test_mapped_partitions_publish_what_one_piece_publishes(airflow_database, in_world):
    window = in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
    name = "flight_delays/predictions"
    before = in_world.tables.version(name) if in_world.tables.exists(name) else -1
    run = run_dag("flight_delays__batch_scoring", FEBRUARY.end)
    assert run.state == "success", run
    assert set(run.tasks) == {
        "await_features",
        "plan_partitions",
        "score_partition",
        "publish_predictions",
    }
    result = run.results["publish_predictions"]
    planned = run.results["plan_partitions"]
    assert result["partitions"] == len(planned) > 3
    assert all(part["rows"] <= 500 for part in planned)
    predictions = in_world.tables.read("flight_delays/predictions", where=window).sort("flight_id")
    assert predictions.height == result["rows"] == sum(part["rows"] for part in planned)
    assert predictions["scoring_run"].unique().to_list() == [run.run_id]
    assert in_world.tables.version("flight_delays/predictions") == before + 1
    again = run_step(score_interval, in_world.context(FEBRUARY, "batch_scoring"))
    assert (again["partitions"], again["changed"]) == (1, False)
    rewritten = in_world.tables.read(
        "flight_delays/predictions", where=window & pl.col("score").is_not_null()
    )
    assert (
        rewritten.drop(LINEAGE_COLUMNS).sort("flight_id").equals(predictions.drop(LINEAGE_COLUMNS))
    )
