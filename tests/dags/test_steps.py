"""Every edge of every DAG is typed: what a step needs is left by exactly one task upstream."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from dags.factories import build_dags
from dags.factories.deployment import build_deployment_dag
from include.errors import SpecError
from include.processes.local import SEQUENCES, reference_of
from include.release.rollout.stages import longest_seconds
from include.settings import PROJECT_ROOT, load_settings
from include.spec import Release
from include.steps import bind, load_step, signature
from include.use_cases.flight_delays.spec import USE_CASE
from plugins.operators.partition import PlannedOperator, PlanOperator
from plugins.operators.step import StepOperator

TRAINING = "include.processes.training"
SCORING = "include.processes.batch_scoring"
NAMES = {"use_case": "flight_delays", "process": "training"}


@pytest.fixture(scope="module")
def dag_bag(airflow_database):
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(
        dag_folder=str(PROJECT_ROOT / "dags"),
        bundle_path=PROJECT_ROOT / "dags",
        bundle_name="dags-folder",
    )


def step_of(task: Any) -> str | None:
    """The step that a task runs, mapped or not."""
    return getattr(task, "partial_kwargs", {}).get("step") or getattr(task, "step", None)


def supplied_to(task: Any) -> tuple[str, ...]:
    """Parameters that the task's step gets from elsewhere than a task upstream."""
    return tuple(getattr(task, "operator_class", type(task)).supplied)


def upstream_of(task: Any) -> dict[str, str]:
    """Ids and steps of all tasks upstream that run a step."""
    relatives = task.get_flat_relatives(upstream=True)
    return {other.task_id: step for other in relatives if (step := step_of(other)) is not None}


def mapped_over(task: Any) -> set[str]:
    """The arguments that a mapped task gets one by one."""
    expansion = getattr(task, "expand_input", None)
    return set() if expansion is None else set(expansion.value)


def is_mapped(task: Any) -> bool:
    return getattr(task, "operator_class", None) is not None and hasattr(task, "partial_kwargs")


def edges(dag: DAG) -> Iterator[tuple[str, dict[str, str]]]:
    """Task id and its parameters' producers. Raises where one has none, or more than one."""
    for task in dag.tasks:
        reference = step_of(task)
        if reference is None:
            continue
        step, supplied = load_step(reference), supplied_to(task)
        upstream = {task_id: load_step(other) for task_id, other in upstream_of(task).items()}
        bound = bind(step, upstream, supplied=supplied)
        names = {need.name for need in signature(step).parameters}
        unbound = names - set(bound)
        assert unbound <= set(supplied), (
            f"{dag.dag_id}.{task.task_id}: no task upstream leaves {sorted(unbound)}, and nothing"
            " else supplies it"
        )
        supplied_by = mapped_over(task) if is_planned(task) else unbound
        assert unbound == supplied_by, (
            f"{dag.dag_id}.{task.task_id}: {sorted(unbound)} must be what the task is mapped over,"
            f" and that is {sorted(mapped_over(task))}"
        )
        yield task.task_id, bound


def is_planned(task: Any) -> bool:
    """Whether what is supplied to the task can only come from a plan that it is mapped over."""
    return issubclass(getattr(task, "operator_class", type(task)), PlannedOperator)


def small_dag() -> DAG:
    return DAG("broken", schedule=None, start_date=datetime(2013, 1, 1, tzinfo=UTC))


def step_task(task_id: str, step: str) -> StepOperator:
    return StepOperator(task_id=task_id, step=f"{TRAINING}:{step}", **NAMES)


def test_what_a_step_needs_is_left_by_exactly_one_task_upstream(dag_bag):
    count = 0
    assert dag_bag.dags
    for dag in dag_bag.dags.values():
        for task_id, bound in edges(dag):
            assert set(bound.values()) <= set(upstream_of(dag.get_task(task_id)))
            count += len(bound)
    assert count > 20


def test_outside_airflow_a_process_runs_the_steps_of_its_dag_in_an_order_of_its_dag():
    built = {dag.dag_id: dag for dag in build_dags(USE_CASE, load_settings())}
    for process, names in SEQUENCES.items():
        dag = built[USE_CASE.dag_id(process)]
        sequence = [reference_of(process, name) for name in names]
        steps = {task.task_id: step for task in dag.tasks if (step := step_of(task)) is not None}
        assert set(steps.values()) == set(sequence)
        for task_id, step in steps.items():
            earlier = sequence[: sequence.index(step) + 1]
            assert set(upstream_of(dag.get_task(task_id)).values()) <= set(earlier)


def test_the_partition_of_a_planned_task_is_mapped_and_its_plan_comes_from_the_plan_task(dag_bag):
    planned = [
        task
        for dag in dag_bag.dags.values()
        for task in dag.tasks
        if getattr(task, "operator_class", type(task)) is PlannedOperator
    ]
    assert any(is_mapped(task) for task in planned)
    for task in planned:
        steps = {task_id: load_step(step) for task_id, step in upstream_of(task).items()}
        bound = bind(load_step(step_of(task)), steps, supplied=supplied_to(task))
        plan_task = task.partial_kwargs["plan_task"] if is_mapped(task) else task.plan_task
        assert bound["plan"] == plan_task
        assert isinstance(task.get_dag().get_task(plan_task), PlanOperator)


def test_a_dag_whose_producer_is_missing_is_refused():
    with small_dag() as dag:
        step_task("build_snapshot", "build_snapshot")
    with pytest.raises(SpecError, match=r"'build_snapshot' needs \w+: OpenRun.*no task upstream"):
        list(edges(dag))


def test_a_producer_that_is_not_upstream_does_not_count():
    with small_dag() as dag:
        step_task("open_run", "open_run")
        step_task("build_snapshot", "build_snapshot")
    with pytest.raises(SpecError, match=r"no task upstream does; upstream are \{ *\}"):
        list(edges(dag))


def test_a_dag_with_two_producers_is_refused():
    with small_dag() as dag:
        [
            step_task("open_run", "open_run"),
            step_task("open_again", "open_run"),
        ] >> step_task("build_snapshot", "build_snapshot")
    with pytest.raises(SpecError, match=r"the tasks \['open_again', 'open_run'\] all leave one"):
        list(edges(dag))


def test_a_partition_that_nothing_is_mapped_over_is_refused():
    names = {"use_case": "flight_delays", "process": "batch_scoring"}
    with small_dag() as dag:
        planned = PlanOperator(task_id="plan", step=f"{SCORING}:plan_partitions", **names)
        planned >> PlannedOperator(
            task_id="score", step=f"{SCORING}:score_partition", plan_task="plan", **names
        )
    with pytest.raises(AssertionError, match=r"\['partition'\] must be what the task is mapped"):
        list(edges(dag))


@pytest.mark.parametrize(
    ("strategy", "tasks"),
    [
        ({"kind": "canary"}, ["shift_to_5_percent", "shift_to_25_percent", "shift_to_50_percent"]),
        ({"kind": "blue_green"}, ["switch_traffic"]),
        ({"kind": "shadow"}, ["mirror_traffic"]),
        ({"kind": "ab"}, ["compare_versions"]),
        ({"kind": "bandit"}, ["explore_versions"]),
        ({"kind": "direct"}, []),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_every_strategy_is_a_chain_of_typed_tasks_behind_its_approval(strategy, tasks):
    release = Release(strategy=strategy, approval="all", approvers=("reviewer",))
    dag = build_deployment_dag(USE_CASE.model_copy(update={"release": release}))
    assert [task.task_id for task in dag.topological_sort()] == [
        *("select_version", "package_model", "check_package"),
        *("request_approval", "check_approval", *tasks, "promote_version"),
    ]
    assert dict(edges(dag))["promote_version"] == {
        "selected": "select_version",
        "verdict": "check_package",
    }
    assert all(task.execution_timeout is not None for task in dag.tasks)
    assert dag.dagrun_timeout.total_seconds() >= longest_seconds(release)


def test_a_release_that_needs_no_approval_asks_for_none():
    dag = build_deployment_dag(USE_CASE)
    assert "request_approval" not in dag.task_ids
