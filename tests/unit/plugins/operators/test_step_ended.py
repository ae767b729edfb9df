"""A task that is ended from outside, as `make down` does through Airflow's worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from dags.factories.common import RETRY_DELAY
from include.steps import StepContext, StepResult
from plugins.operators.step import ENDED, StepOperator
from plugins.refusal import FINAL, Refusal
from tests.unit.plugins.task_context import task_context


class Fact(StepResult):
    """A result that decides nothing."""

    rows: int


def be_ended(context: StepContext) -> Fact:
    """A step in whose middle SIGTERM comes; a library around it takes every error for its own."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except Exception:  # noqa: BLE001  # what libraries do
        return Fact(rows=0)
    return Fact(rows=1)


def end_well(context: StepContext) -> Fact:
    return Fact(rows=2)


def run_out_of_time(context: StepContext) -> Fact:
    try:
        raise AirflowTaskTimeout
    except AirflowTaskTimeout:
        os.kill(os.getpid(), signal.SIGTERM)
    return Fact(rows=3)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))


def operator(step: str) -> StepOperator:
    return StepOperator(
        task_id="work",
        step=f"{__name__}:{step}",
        use_case="flight_delays",
        process="features",
        uses_interval=False,
    )


@pytest.fixture
def airflow_signals() -> Iterator[list[StepOperator]]:
    """SIGTERM as Airflow's task runner handles it: it calls `on_kill` of the task."""
    running: list[StepOperator] = []
    former = signal.signal(signal.SIGTERM, lambda *_: running[0].on_kill())
    yield running
    signal.signal(signal.SIGTERM, former)


def test_it_leaves_the_step_at_once_with_what_airflow_retries(airflow_signals):
    airflow_signals.append(operator("be_ended"))
    with pytest.raises(SystemExit, match="ended from outside") as raised:
        airflow_signals[0].execute(task_context())
    assert raised.value.code == ENDED
    assert not isinstance(raised.value, Refusal)
    decision = FINAL.evaluate(exception=raised.value, try_number=1, max_tries=2, context=None)
    assert decision.action.value == "default"
    assert RETRY_DELAY.total_seconds() < 60


def test_a_step_that_has_ended_keeps_its_result(airflow_signals):
    airflow_signals.append(operator("end_well"))
    airflow_signals[0].on_kill()
    assert airflow_signals[0].execute(task_context()) == {"rows": 2}
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_task_that_runs_out_of_time_says_so_and_nothing_else(airflow_signals):
    airflow_signals.append(operator("run_out_of_time"))
    assert airflow_signals[0].execute(task_context()) == {"rows": 3}
