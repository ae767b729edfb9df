"""DAG files parse cheaply, without errors, and every DAG is complete."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from airflow.sdk import Asset, Param
from airflow.serialization.serialized_objects import DagSerialization

from dags.factories import build_dags
from dags.factories.alarms import build_alarms_dag
from dags.factories.common import asset
from dags.factories.training import build_training_dag
from include.catalogue import load_use_case
from include.errors import SpecError
from include.settings import PROJECT_ROOT, load_settings

RUFF = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
HEAVY = RUFF["flake8-tidy-imports"]["banned-module-level-imports"]
PROCESSES = (
    "features",
    "training",
    "deployment",
    "rollback",
    "batch_scoring",
    "monitoring",
    "alarms",
)
DAG_FILES = sorted(
    path for path in (PROJECT_ROOT / "dags").glob("*.py") if path.name != "__init__.py"
)


def processes_of(use_case):
    """Decisions are reviewed where the specification names somebody who may."""
    return (*PROCESSES, *(["decision_review"] if use_case.review.reviewers else []))


@pytest.fixture(scope="module")
def dag_bag(airflow_database):
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(
        dag_folder=str(PROJECT_ROOT / "dags"),
        bundle_path=PROJECT_ROOT / "dags",
        bundle_name="dags-folder",
    )


def test_no_dag_file_has_an_import_error(dag_bag):
    assert dag_bag.import_errors == {}


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_every_use_case_has_the_dags_its_specification_says(dag_bag, path: Path):
    use_case = load_use_case(path.stem)
    expected = {use_case.dag_id(process) for process in processes_of(use_case)}
    assert expected <= set(dag_bag.dags), (
        f"dags/{path.name} must end with globals().update(build_all(USE_CASE))"
    )


def test_every_dag_is_documented_owned_tagged_and_bounded(dag_bag):
    assert dag_bag.dags
    for dag_id, dag in dag_bag.dags.items():
        name, _, process = dag_id.rpartition("__")
        use_case = load_use_case(name)
        assert use_case.task in dag.doc_md, (
            f"{dag_id}: the documentation lacks the use case's task; see dags/factories/common.py"
        )
        assert process in dag.tags
        assert dag.dagrun_timeout is not None
        assert dag.catchup is False
        for task in dag.tasks:
            assert task.owner == use_case.owner
            assert task.execution_timeout is not None
            assert task.retries == 2, (
                f"{dag_id}.{task.task_id}: a killed task gets a second try; a decided no does not"
                " (see GateOperator)"
            )


def test_tasks_carry_no_copy_of_their_dags_parameters(dag_bag):
    """Airflow checks each copy several times a parse; at run time a task finds the DAG's own."""
    assert set(dag_bag.dags["flight_delays__training"].params) == {"until", "trials", "reason"}
    copies = {
        f"{dag_id}.{task.task_id}": list(task.params)
        for dag_id, dag in dag_bag.dags.items()
        for task in dag.tasks
        if any(param.source == "dag" for _, param in task.params.items())
    }
    assert copies == {}


def test_every_default_of_a_parameter_is_valid(dag_bag):
    """No parse looks, as Airflow's own check costs as much as all edges of the DAGs."""
    validated = {dag_id: dag.params.validate() for dag_id, dag in dag_bag.dags.items()}
    assert set(validated["flight_delays__training"]) == {"until", "trials", "reason"}


def test_more_trials_than_the_training_takes_are_refused_by_name():
    use_case = load_use_case("flight_delays")
    training = use_case.training.model_copy(update={"trials": 201})
    with pytest.raises(SpecError, match=r"training\.trials is 201; .* takes 1 to 200"):
        build_training_dag(use_case.model_copy(update={"training": training}))


def test_no_schema_is_checked_and_no_asset_hashed_twice_when_dags_are_built_and_serialised(
    monkeypatch, airflow_database
):
    """Both cost more than all else of ours in a parse, and grow with the number of edges."""
    resolved, hashed = [], Counter()
    resolve, hash_of = Param.resolve, Asset.__hash__

    def resolve_counted(self, *args, **kwargs):
        resolved.append(self.schema.get("title"))
        return resolve(self, *args, **kwargs)

    def hash_counted(self):
        hashed[self.uri] += 1
        return hash_of(self)

    monkeypatch.setattr(Param, "resolve", resolve_counted)
    monkeypatch.setattr(Asset, "__hash__", hash_counted)
    # Names of its own, so that no asset has been hashed by another test.
    use_case = load_use_case("flight_delays").model_copy(update={"name": "counted"})
    dags = build_dags(use_case, load_settings())
    assert len([DagSerialization.to_dict(dag) for dag in dags]) == len(processes_of(use_case))
    # The fields of a form: Airflow's own operator looks through them when it is made.
    assert Counter(resolved) == {"Reason": 2, "Decision instead": 2}
    assert hashed == dict.fromkeys(
        (f"flightdeck://counted/{thing}" for thing in ("alarm", "new_data", "challenger")), 1
    )


def test_an_asset_has_the_hash_of_airflows_own():
    made = asset(load_use_case("flight_delays"), "alarm")
    plain = Asset(name=made.name, uri=made.uri, group=made.group)
    assert {made, plain} == {plain}


def test_every_failed_run_is_told(dag_bag):
    untold = [name for name, dag in dag_bag.dags.items() if not dag.has_on_failure_callback]
    assert untold == []


def test_what_waits_is_sent_again_by_a_schedule_only_where_there_are_sinks(
    dag_bag, monkeypatch, tmp_path
):
    assert dag_bag.dags["flight_delays__alarms"].timetable.can_be_scheduled is False
    monkeypatch.setenv("FLIGHTDECK_ALARM_SINKS", str(tmp_path / "sinks.toml"))
    dag = build_alarms_dag(load_use_case("flight_delays"), load_settings())
    assert dag.timetable.can_be_scheduled is True


def test_every_step_exists(dag_bag):
    from include.steps import load_step
    from plugins.operators.step import StepOperator

    steps = [
        task.step
        for dag in dag_bag.dags.values()
        for task in dag.tasks
        if isinstance(task, StepOperator)
    ]
    assert len(steps) > 20
    for step in steps:
        assert callable(load_step(step))


def test_gates_and_validations_are_operators_that_refuse(dag_bag):
    from plugins.operators.gate import GateOperator

    gates = {
        f"{dag.dag_id.rpartition('__')[2]}.{task.task_id}"
        for dag in dag_bag.dags.values()
        for task in dag.tasks
        if isinstance(task, GateOperator)
    }
    assert {
        "features.validate_data",
        "training.validate_snapshot",
        "training.check_gates",
        "deployment.check_package",
    } <= gates


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_parsing_imports_no_heavy_library(path: Path):
    code = (
        "import sys, json, airflow.sdk; before = set(sys.modules)\nimport"
        f" dags.{path.stem}\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules"
        " and name not in before]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT
    )
    assert json.loads(result.stdout.splitlines()[-1]) == []


def test_alarm_starts_training_and_training_starts_deployment(dag_bag):
    dags = dag_bag.dags
    alarm_task = dags["flight_delays__monitoring"].get_task("raise_alarm")
    register_task = dags["flight_delays__training"].get_task("register_model")
    assert [asset.name for asset in alarm_task.outlets] == ["flight_delays/alarm"]
    assert [asset.name for asset in register_task.outlets] == ["flight_delays/challenger"]
    assert "flight_delays/alarm" in str(dags["flight_delays__training"].timetable.asset_condition)
    assert "flight_delays/challenger" in str(
        dags["flight_delays__deployment"].timetable.asset_condition
    )


def test_every_asset_that_a_dag_produces_is_consumed_by_another(dag_bag):
    produced, consumed = {}, {}
    for dag in dag_bag.dags.values():
        scheduled = str(getattr(dag.timetable, "asset_condition", ""))
        for name in re.findall(r"name='([^']+)'", scheduled):
            consumed.setdefault(name, set()).add(dag.dag_id)
        for task in dag.tasks:
            for made in task.outlets:
                produced.setdefault(made.name, set()).add(dag.dag_id)
            for read in task.inlets:
                consumed.setdefault(read.name, set()).add(dag.dag_id)
    assert produced
    alone = {name for name, makers in produced.items() if not consumed.get(name, set()) - makers}
    assert alone == set()
