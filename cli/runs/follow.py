"""A run on the platform, started or found by Airflow's API and followed until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from cli.platform.airflow_api import AirflowApi
from cli.runs.verdict import Outcome
from include.errors import PlatformError
from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase

ENDED = ("success", "failed")
UNDER_WAY = ("queued", "running")
SILENT = (None, "scheduled", "queued", "skipped", "removed", "upstream_failed")
"""States of tasks that need no line."""
WAITS = {
    "awaiting_input": "waits for a person in Airflow",
    "deferred": "waits for answers to compare",
    "up_for_retry": "failed and is tried again",
    "up_for_reschedule": "waits for the process before it",
    "failed": "failed",
}
PARSE_SECONDS = 60.0
POLL_SECONDS = 1.0
PATIENT_SECONDS = 10.0
NOT_BEGUN = "  waits until Airflow has a place for it (flightdeck status, flightdeck logs)"
CLEARED_SECONDS = 60.0


class Platform:
    """The use case's DAGs on the running platform; `say` hears what a run does."""

    def __init__(
        self, settings: Settings, use_case: UseCase, api: AirflowApi, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._use_case = use_case
        self._api = api
        self._say = say

    def require(self, process: str) -> None:
        """Raise `PlatformError` unless the process's DAG is there and takes runs."""
        dag_id = self._use_case.dag_id(process)
        self._api.wait_for_dag(dag_id, PARSE_SECONDS)
        if self._api.get(f"/api/v2/dags/{dag_id}")["is_paused"]:
            raise PlatformError(
                f"The DAG {dag_id} is paused: a run of it would wait for ever. Unpause it in"
                f" Airflow ({self.address(dag_id)}), or with: flightdeck airflow dags unpause"
                f" {dag_id}"
            )

    def run_of(self, process: str, interval: Interval) -> tuple[str, str] | None:
        """Id and state of the run that owns the interval, whoever started it."""
        at = interval.start.isoformat()
        runs = self._api.runs(
            self._use_case.dag_id(process), logical_date_gte=at, logical_date_lte=at
        )
        return (str(runs[-1]["dag_run_id"]), str(runs[-1]["state"])) if runs else None

    def under_way(self, process: str) -> str | None:
        """Id of the newest run that is queued or running."""
        runs = self._api.runs(self._use_case.dag_id(process), state=list(UNDER_WAY))
        return str(runs[-1]["dag_run_id"]) if runs else None

    def start(
        self, process: str, run_id: str, conf: Mapping[str, Any], interval: Interval | None = None
    ) -> None:
        """Start a run; one of that id that is there already is followed."""
        window = None if interval is None else (interval.start, interval.end)
        self._api.trigger(
            self._use_case.dag_id(process),
            run_id,
            logical_date=None if interval is None else interval.start,
            data_interval=window,
            conf=conf,
        )

    def again(self, process: str, run_id: str) -> None:
        """Let a run that has ended run anew, under the same id."""
        dag_id = self._use_case.dag_id(process)
        self._api.rerun(dag_id, run_id)
        deadline = time.monotonic() + CLEARED_SECONDS
        while self._api.run_state(dag_id, run_id) in ENDED and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 4)

    def follow(self, process: str, run_id: str, title: str) -> Outcome:
        """Wait for the run's end, saying what its tasks do; what it came to."""
        dag_id, said = self._use_case.dag_id(process), set[str]()
        patient_until = time.monotonic() + PATIENT_SECONDS
        while True:
            state = self._api.run_state(dag_id, run_id)
            tasks = self._api.task_states(dag_id, run_id)
            for line in filter(None, map(_line, tasks, tasks.values())):
                if line not in said:
                    said.add(line)
                    self._say(line)
            if not said and time.monotonic() > patient_until:
                said.add(NOT_BEGUN)
                self._say(NOT_BEGUN)
            if state in ENDED:
                return self._outcome(dag_id, run_id, title, state, tasks)
            time.sleep(POLL_SECONDS)

    def address(self, dag_id: str, run_id: str = "") -> str:
        """Where people see a DAG or a run."""
        run = f"/runs/{quote(run_id, safe=':+')}" if run_id else ""
        return f"{self._settings.airflow_page}/dags/{dag_id}{run}"

    def _outcome(
        self,
        dag_id: str,
        run_id: str,
        title: str,
        state: str,
        tasks: Mapping[str, str | None],
    ) -> Outcome:
        results = {
            task: result
            for task, task_state in tasks.items()
            if task_state in ENDED and "[" not in task
            if (result := self._result(dag_id, run_id, task)) is not None
        }
        where = self.address(dag_id, run_id)
        if state == "success":
            return Outcome(title, "accepted", results=results)
        failed = [task for task, task_state in tasks.items() if task_state == "failed"]
        refused = [task for task in failed if _is_refusal(results.get(task))]
        if refused:
            reasons = tuple(reason for task in refused for reason in results[task]["reasons"])
            return Outcome(title, "refused", tuple(refused), reasons, results, where)
        errors = tuple(self._api.failures(dag_id, run_id))
        return Outcome(title, "failed", tuple(failed), errors, results, where)

    def _result(self, dag_id: str, run_id: str, task: str) -> Any:
        """What a task left, or None."""
        run = quote(run_id, safe="")
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/xcomEntries"
        entries = self._api.get(path)["xcom_entries"]
        if not any(entry["key"] == "return_value" for entry in entries):
            return None
        return self._api.get(f"{path}/return_value")["value"]


def _line(task: str, state: str | None) -> str | None:
    """What is said of a task once it is in a state; nothing before it begins."""
    if state in SILENT:
        return None
    return f"  {task} {WAITS[state]}" if state in WAITS else f"  {task}"


def _is_refusal(result: Any) -> bool:
    return isinstance(result, Mapping) and result.get("accepted") is False
