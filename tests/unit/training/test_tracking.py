"""What tracking keeps of trials and of causes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.interval import Interval
from include.registry.client import connect
from include.settings import load_settings
from include.steps import RunInfo, StepContext
from include.training.tracking import (
    TAG_LENGTH,
    TRIAL_STATE_TAG,
    TRIAL_TAG,
    log_metrics,
    log_trials,
    open_run,
)
from include.training.tuning import Trial
from include.triggers.causes import CONSUMED, Cause, amend
from proofs.harness.databases import mlflow_at
from tests.unit.model.synthetic import USE_CASE

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.slow,
]
DAY = Interval(datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 3, 2, tzinfo=UTC))


@pytest.fixture
def context(tmp_path) -> StepContext:
    tracking = mlflow_at(tmp_path / "mlflow.db")
    settings = load_settings(
        {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(tmp_path),
            "FLIGHTDECK_MLFLOW_TRACKING_URI": tracking,
        }
    )
    return StepContext(USE_CASE, settings, DAY, RunInfo("training", "run_1", "asset"))


def test_a_pruned_trial_is_a_child_run_too_and_none_is_written_twice(context):
    client, run = connect(context.settings), open_run(context, "commit")
    trials = [Trial(0, {"eta": 0.3}, 0.5, 12), Trial(1, {"eta": 0.01}, 0.6, 30, "pruned")]
    for _ in range(2):
        log_trials(client, run["experiment_id"], run["mlflow_run_id"], trials)
    children = client.search_runs(
        [run["experiment_id"]], f"tags.`mlflow.parentRunId` = '{run['mlflow_run_id']}'"
    )
    assert sorted(
        (child.data.tags[TRIAL_TAG], child.data.tags[TRIAL_STATE_TAG]) for child in children
    ) == [
        ("0", "complete"),
        ("1", "pruned"),
    ]
    assert {child.data.params["eta"] for child in children} == {"0.3", "0.01"}


def test_a_metric_that_is_logged_again_gets_a_second_point_only_when_it_has_changed(context):
    client, run = connect(context.settings), open_run(context, "commit")
    run_id = run["mlflow_run_id"]
    model = client.create_logged_model(run["experiment_id"], source_run_id=run_id).model_id
    for auc in (0.7, 0.7, 0.8):
        log_metrics(client, run_id, {"test.auc": auc, "test.n": 3.0}, model_id=model)

    def points(metric: str) -> list[float]:
        return [point.value for point in client.get_metric_history(run_id, metric)]

    assert points("test.auc") == [0.7, 0.8]
    assert points("test.n") == [3.0]
    of_model = client.get_logged_model(model).metrics
    assert {metric.key: metric.value for metric in of_model} == {"test.auc": 0.8, "test.n": 3.0}


def test_every_cause_is_in_the_tag_and_the_artefact_however_long(context, tmp_path):
    known = [
        Cause(
            f"alarm:{number}",
            "alarm",
            "decayed",
            "monitoring",
            DAY,
            evidence={"text": "x" * 4000},
            status=CONSUMED,
            consumed_by="run_1",
        )
        for number in range(3)
    ]
    manual = replace(
        known[0],
        cause_id="manual:run_1",
        kind="manual",
        interval=Interval(DAY.start, DAY.end + timedelta(days=1)),
    )
    amend(context.settings, USE_CASE.name, lambda causes: [*causes, *known, manual])
    client, run = connect(context.settings), open_run(context, "commit")
    tags = client.get_run(run["mlflow_run_id"]).data.tags
    assert len(tags["flightdeck.causes"]) <= TAG_LENGTH
    assert [cause["cause_id"] for cause in json.loads(tags["flightdeck.causes"])] == [
        "alarm:0",
        "alarm:1",
        "alarm:2",
        "manual:run_1",
    ]
    assert tags["flightdeck.cause_kinds"] == "alarm+manual"
    path = client.download_artifacts(run["mlflow_run_id"], "causes.json", str(tmp_path))
    assert json.loads(Path(path).read_text())["causes"] == [
        cause.as_json() for cause in (*known, manual)
    ]
