"""Every step of every DAG runs twice at the same moment: one effect, the same result."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.demo.traffic import requests_of_hour
from include import processes
from include.alarms.store import AlarmStore
from include.errors import SpecError
from include.features.store import apply_definitions
from include.registry.client import connect
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT, Settings
from include.steps import signature
from include.tables.store import TableStore
from include.triggers.causes import read_causes
from proofs.harness.endpoint import PREDICT, Endpoint
from tests.integration.two_copies import TRIALS, TwoCopies, flights, settings_of, two_copies
from tests.unit.features.world import build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

COLLECT = "include.processes.training:collect_causes"
SCORE = "include.processes.batch_scoring:score_partition"
GATES = "include.processes.training:check_gates"
OUTSIDE = "include.processes.batch_scoring:score_interval"
"""Three steps in one call, for notebooks: no task, and so run by itself."""
STAGED = {
    "rollback": ("roll_back",),
    "rollout": ("begin_stage", "look_at_stage", "request_decision", "apply_decision"),
    "approval": ("request_approval", "check_approval", "expire_approval"),
    "decisions.review": ("request_review", "close_review", "expire_review"),
}
"""Steps that need two releases, callers, or a person; the tests of releases and of reviews repeat
them.
"""
ORDER = {
    "features": (2, 3),
    "training": (1, 3),
    "deployment": (1, 3),
    "batch_scoring": (2, 3),
    "monitoring": (2, 3),
    "alarms": (2, 3),
}
"""The processes, and which months each is about."""

OWN = {"resumed", "written", "skipped", "shipped", "recorded"}
"""What a copy tells about itself: what it did and what the other had done (staged partitions, rows
of the online store and of the log, a sample of the endpoint's metrics).
"""

COMMITS = {"tables/flight_delays/inference_log": 2}
"""Where one copy alone commits more than once: the rows of the journal, and those of the spool."""

MEASURED = ("_ms", "seconds", "latency", "memory")
"""In the names of what each copy measures of its own process."""


@pytest.fixture(scope="module")
def dags(airflow_database: None) -> dict[str, list[str]]:
    """The steps of each process in the order in which its DAG runs them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = PROJECT_ROOT / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, bundle_name="dags-folder")
    dags = {process: steps_of(bag.dags[f"flight_delays__{process}"]) for process in ORDER}
    dags["training"].insert(0, COLLECT)
    ids = {dag.dag_id.partition("__")[2] for dag in bag.dags.values()}
    assert ids == {*ORDER, "rollback", "decision_review"}
    missing = set(declared_steps()) - {step for steps in dags.values() for step in steps}
    staged = {
        f"{processes.__name__}.{module}:{step}"
        for module, steps in STAGED.items()
        for step in steps
    }
    assert missing == {OUTSIDE, *staged}, f"run {missing - {OUTSIDE, *staged}} twice below"
    return dags


def steps_of(dag: Any) -> list[str]:
    """The steps of a DAG's tasks, mapped ones included, stages of a rollout left out."""
    steps = [
        getattr(task, "partial_kwargs", {}).get("step") or getattr(task, "step", None)
        for task in dag.topological_sort()
    ]
    stages = f"{processes.__name__}.rollout:"
    return [step for step in steps if step is not None and not step.startswith(stages)]


def declared_steps() -> Iterator[str]:
    """Every function of `include.processes` that is a step, whether or not a DAG runs it."""
    for module in pkgutil.walk_packages(processes.__path__, f"{processes.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            own = inspect.isfunction(value) and value.__module__ == module.name
            with suppress(SpecError, NameError):
                if own and not name.startswith("_") and signature(value):
                    yield f"{module.name}:{name}"


def commits(home: Path) -> Counter[str]:
    """How often each table was written."""
    written: Counter[str] = Counter()
    for commit in home.rglob("_delta_log/*.json"):
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        # The first one of a ledger makes it without a row.
        rows = any("add" in action or "remove" in action for action in actions)
        written[str(commit.parent.parent.relative_to(home))] += rows
    return written


def plain(result: Any) -> Any:
    if isinstance(result, list):
        return [plain(item) for item in result]
    if isinstance(result, dict):
        return {
            name: plain(value)
            for name, value in result.items()
            if name not in OWN and not any(word in name for word in MEASURED)
        }
    return result


def accepted(verdict: dict[str, Any]) -> dict[str, Any]:
    """A few thousand rows are too few for some gates; they have judged, and the next steps go on
    without their no.
    """
    findings = [finding for finding in verdict["findings"] if finding["passed"]]
    return {**verdict, "accepted": True, "reasons": [], "findings": findings}


def run_process(
    copies: TwoCopies, steps: list[str], where: tuple[Any, ...], home: Path
) -> dict[str, Any]:
    """Every step twice; what each must not do twice is looked at after it."""
    results: dict[str, Any] = {}
    for step in steps:
        before = commits(home)
        if step == SCORE:
            parts = results["include.processes.batch_scoring:plan_partitions"]["partitions"]
            assert len(parts) > 1
            both = [copies.run(step, where, results, partition=part) for part in parts]
            assert all(plain(first) == plain(second) for first, second in both)
            results[step] = [first for first, _ in both]
        else:
            first, second = copies.run(step, where, results)
            assert plain(first) == plain(second), step
            results[step] = accepted(first) if step == GATES else first
        written = commits(home) - before
        twice = {name: count for name, count in written.items() if count > COMMITS.get(name, 1)}
        assert not twice, f"{step} has written twice: {twice}"
    return results


def score_in_one_call(copies: TwoCopies, where: tuple[Any, ...], home: Path) -> None:
    """Two copies of all of batch scoring in one call each: one publication, nothing staged left."""
    table = f"tables/{flights().name}/predictions"
    shutil.rmtree(home / table)
    first, second = copies.run(OUTSIDE, where, {})
    for result in (first, second):
        # False for a copy that made its plan after the other one had published.
        result.pop("changed")
    assert plain(first) == plain(second)
    assert commits(home)[table] == 1
    assert list((home / "tables" / flights().name / "staging").glob("*")) == []


def answers_and_feedback(endpoint: Endpoint, settings: Settings) -> tuple[int, int]:
    """Questions to the endpoint that its journal and its spool have logged, and feedback on some:
    how many of both.
    """
    answers = []
    for day, headers in ((11, {}), (12, {"X-Request-Id": "both-at-once"})):
        rows = requests_of_hour(flights(), settings, datetime(2013, 2, day, 15, tzinfo=UTC))
        answer = endpoint.client.post(PREDICT, json={"rows": rows}, headers=headers)
        assert answer.status_code == 200, answer.text
        answers += answer.json()["predictions"]
    feedback = [
        {"prediction_id": answer["prediction_id"], "label": 1, "known_at": "2013-02-15T20:00:00Z"}
        for answer in answers[::5]
    ]
    answer = endpoint.client.post("/v1/models/flight_delays/feedback", json={"feedback": feedback})
    assert len(answer.json()["recorded"]) == len(feedback) > 0
    return len(answers), len(feedback)


def assert_one_training(settings: Settings) -> None:
    """MLflow has one run, with one point of every metric, one of each input and output, one logged
    model, and one version.
    """
    client, name = connect(settings), flights().name
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) == 1 + TRIALS
    doubled = {
        metric: len(points)
        for run in runs
        for metric in run.data.metrics
        if not any(word in metric for word in MEASURED)
        and len(points := client.get_metric_history(run.info.run_id, metric)) > 1
    }
    assert doubled == {}
    assert len(parent.data.metrics) > 50
    assert len(parent.inputs.dataset_inputs) == 1
    (model,) = client.search_logged_models([experiment.experiment_id])
    names = [metric.key for metric in model.metrics]
    assert len(names) == len(set(names)) > 0
    (version,) = client.search_model_versions(f"name='{name}'")
    assert str(version.version) == "1"
    assert version.run_id == parent.info.run_id


def assert_one_monitoring(settings: Settings, answers: int, labels: int) -> None:
    """The log holds every answer and every feedback once, and monitoring has judged once."""
    tables, name = TableStore(settings.tables_uri), flights().name
    log, feedback = (tables.read(f"{name}/{table}") for table in ("inference_log", "feedback"))
    assert log.height == log["prediction_id"].n_unique() == answers
    assert feedback.height == feedback["prediction_id"].n_unique() == labels
    for table in ("monitoring", "serving_metrics"):
        assert tables.read(f"{name}/{table}").height == 1, table
    drift = tables.read(f"{name}/drift")
    assert drift.height == drift["column"].n_unique()
    alarms = [cause for cause in read_causes(settings, name) if cause.kind == "alarm"]
    assert len(alarms) == tables.read(f"{name}/monitoring")["alarm"].sum()
    assert {alarm.times for alarm in AlarmStore(settings).alarms()} <= {1}


def test_two_copies_of_every_step_have_one_effect_and_one_result(
    tmp_path: Path, dags: dict[str, list[str]]
) -> None:
    home = tmp_path / "home"
    build(home, months=1, share=0.1)
    settings = settings_of(home)
    apply_definitions(settings)
    connect(settings).search_experiments()  # makes MLflow's tables, as the platform does first
    ran: dict[str, list[str]] = {}

    def both(process: str, url: str = "") -> None:
        where = (str(home), url, process, *ORDER[process])
        ran[process] = list(run_process(copies, dags[process], where, home))

    with two_copies() as copies:
        both("features")
        both("training")
        with Endpoint(settings) as endpoint:
            both("deployment", endpoint.url)
            both("batch_scoring", endpoint.url)
            where = (str(home), endpoint.url, "batch_scoring", *ORDER["batch_scoring"])
            score_in_one_call(copies, where, home)
            answers, labels = answers_and_feedback(endpoint, settings)
            both("monitoring", endpoint.url)
            both("alarms", endpoint.url)
    assert ran == dags
    assert_one_training(settings)
    events = [entry.event for entry in Ledger(settings).rows()]
    assert (events[0], events[-1], len(events)) == ("registered", "promoted", len(set(events)))
    assert_one_monitoring(settings, answers, labels)
