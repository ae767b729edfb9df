"""A DAG of one task as a worker of Airflow runs it, in a process of its own: `python -m
tests.integration.airflow_worker`.

The task is a process of its own below the worker, as on a platform; only Airflow's API is asked in
this process. Prints the run's state and the task's number of tries.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.executors.base_executor import BaseExecutor
from airflow.sdk import DAG

from include.steps import StepContext, StepResult
from plugins.operators.step import StepOperator
from plugins.refusal import FINAL

if TYPE_CHECKING:
    from airflow.executors.workloads import ExecutorWorkload

BEGUN = "step_has_begun"
SECONDS = 120.0


class Waited(StepResult):
    """What the second try leaves."""

    tries: int


def wait_once(context: StepContext) -> Waited:
    """Wait for two minutes at the first try, in small pieces as Python code does."""
    begun = context.settings.home / BEGUN
    if begun.exists():
        return Waited(tries=2)
    begun.touch()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.1)
    return Waited(tries=1)


with DAG(
    "waits_once__test",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(0), "retry_policy": FINAL},
) as dag:
    StepOperator(
        task_id="wait_once",
        step="tests.integration.airflow_worker:wait_once",
        use_case="flight_delays",
        process="features",
        uses_interval=False,
    )


class OneWorker(BaseExecutor):
    """Runs tasks one after the other, each under Airflow's own supervisor of tasks."""

    def _process_workloads(self, workloads: Sequence[ExecutorWorkload]) -> None:
        from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, supervise_task

        for workload in workloads:
            del self.queued_tasks[workload.key]
            supervise_task(
                ti=workload.ti,
                bundle_info=workload.bundle_info,
                dag_rel_path=Path(__file__),
                token=workload.token,
                log_path=workload.log_path,
                client=InProcessTestSupervisor._api_client(dag),
            )
            self.change_state(workload.key, workload.success_state)

    def end(self) -> None:
        """Nothing runs on after `_process_workloads`."""


def main() -> None:
    """Run the DAG until it has ended."""
    run = dag.test(use_executor=True)
    (task,) = run.get_task_instances()
    sys.stdout.write(f"\n{run.state} {task.state} {task.try_number}\n")


if __name__ == "__main__":
    main()
