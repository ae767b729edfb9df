"""Every step of features, training, deployment and batch scoring runs twice at the same moment: one
effect, the same result.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from include.features.store import apply_definitions
from include.registry.client import connect
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT
from proofs.harness.endpoint import Endpoint
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
ORDER = {
    "features": (2, 3),
    "training": (1, 3),
    "deployment": (1, 3),
    "batch_scoring": (2, 3),
    "monitoring": (2, 3),
}
"""The processes, and which months each is about."""

OWN = {"resumed", "written", "skipped"}
"""What a copy tells about itself: what it found done (staged partitions, online rows)."""

MEASURED = ("_ms", "seconds", "latency", "memory")
"""In the names of what each copy measures of its own process."""


@pytest.fixture(scope="module")
def dags(airflow_database: None) -> dict[str, list[str]]:
    """The steps of each process in the order in which its DAG runs them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = PROJECT_ROOT / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, bundle_name="dags-folder")
    dags = {}
    for process in ORDER:
        tasks = bag.dags[f"flight_delays__{process}"].topological_sort()
        steps = [
            getattr(task, "partial_kwargs", {}).get("step") or getattr(task, "step", None)
            for task in tasks
        ]
        dags[process] = [step for step in steps if step is not None]
    dags["training"].insert(0, COLLECT)
    processes = {dag.dag_id.partition("__")[2] for dag in bag.dags.values()}
    # A roll-back needs two releases: tests/unit/release/test_rollback.py repeats it.
    assert processes == {*ORDER, "rollback"}
    return dags


def commits(home: Path) -> Counter[str]:
    """How often each table was written."""
    written: Counter[str] = Counter()
    for commit in home.rglob("_delta_log/*.json"):
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        operations = [
            action["commitInfo"]["operation"] for action in actions if "commitInfo" in action
        ]
        written[str(commit.parent.parent.relative_to(home))] += operations != ["CREATE TABLE"]
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
        twice = {name: count for name, count in (commits(home) - before).items() if count > 1}
        assert not twice, f"{step} has written twice: {twice}"
    return results


def test_two_copies_of_every_step_have_one_effect_and_one_result(
    tmp_path: Path, dags: dict[str, list[str]]
) -> None:
    home = tmp_path / "home"
    build(home, months=1, share=0.1)
    settings = settings_of(home)
    apply_definitions(settings)
    connect(settings).search_experiments()  # makes MLflow's tables, as the platform does first
    with two_copies() as copies:
        for process in ("features", "training"):
            where = (str(home), "", process, *ORDER[process])
            run_process(copies, dags[process], where, home)
        with Endpoint(settings) as endpoint:
            for process in ("deployment", "batch_scoring"):
                where = (str(home), endpoint.url, process, *ORDER[process])
                run_process(copies, dags[process], where, home)
    client, name = connect(settings), flights().name
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 1
    assert len(runs) == 1 + TRIALS
    assert len(client.search_logged_models([experiment.experiment_id])) == 1
    versions = client.search_model_versions(f"name='{name}'")
    assert [version.version for version in versions] in (["1"], [1])
    events = [entry.event for entry in Ledger(settings).rows()]
    assert (events[0], events[-1], len(events)) == ("registered", "promoted", len(set(events)))
