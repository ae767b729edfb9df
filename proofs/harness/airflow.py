"""Airflow as the platform runs it, over a home and a folder of DAGs of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import psutil

from cli.platform import metadata, postgres
from cli.platform.airflow_api import AirflowApi
from cli.platform.environment import airflow_environment, process_environment
from cli.platform.processes import platform_processes
from include.errors import PlatformError
from include.release.approval import REASON
from include.settings import PROJECT_ROOT, Settings
from include.tls import trusted
from proofs.harness.databases import airflow_at

START_SECONDS = 300.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.25

T = TypeVar("T")


class Airflow:
    """Its processes, each in a group of its own; `api(user)` speaks to it as one of its users.

    `changes` are environment variables over the platform's own. As a context manager it is started
    at the beginning and stopped at the end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        dags: Path = PROJECT_ROOT / "dags",
        changes: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self._changes = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), **(changes or {})}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._exits, self._database = ExitStack(), ExitStack()

    def __enter__(self) -> Airflow:
        with ExitStack() as unless_started:
            unless_started.callback(self.stop)
            self.start()
            unless_started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Migrate the database, start every process, wait until all are healthy."""
        match metadata.kind_of(self.settings):
            case "sqlite":
                airflow_at(metadata.sqlite_file(self.settings))
            case "embedded":
                self._database.enter_context(postgres.running(self.settings))
        # Where nothing is left to migrate it writes the configuration file that all processes
        # read, which they would otherwise write at the same time.
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=self._environment(airflow_environment(self.settings)),
            check=True,
            capture_output=True,
        )
        for process in platform_processes(self.settings):
            if process.name.startswith("airflow-") and not process.holds_data:
                self.launch(process.name)
        self.wait_for("be healthy", self._is_healthy, seconds=START_SECONDS)

    def launch(self, name: str) -> None:
        """Start one of its processes, such as `airflow-scheduler`."""
        process = next(one for one in platform_processes(self.settings) if one.name == name)
        process.log.parent.mkdir(parents=True, exist_ok=True)
        with process.log.open("ab") as log:
            self._processes[name] = subprocess.Popen(
                process.command,
                cwd=PROJECT_ROOT,
                env=self._environment(process.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """kill -9 of one of its processes and of everything that it started."""
        process = self._processes.pop(name)
        with suppress(psutil.NoSuchProcess):
            for child in [*psutil.Process(process.pid).children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.kill()
        process.wait(timeout=STOP_SECONDS)

    def stop(self) -> None:
        """End all processes, the polite way first."""
        self._exits.close()
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for name in list(self._processes):
            with suppress(subprocess.TimeoutExpired):
                self._processes[name].wait(timeout=max(deadline - time.monotonic(), 0.1))
            self.kill(name)
        self._database.close()

    def api(self, user: str = "engineer") -> Account:
        """Airflow's API as one of its users."""
        account = Account(self.settings, user)
        self._exits.callback(account.close)
        return account

    def wait_for(self, deed: str, look: Callable[[], T | None], *, seconds: float = 240.0) -> T:
        """Poll until `look` gives something. Raises `PlatformError` with the logs' ends."""
        deadline = time.monotonic() + seconds
        while True:
            seen = look()
            if seen:
                return seen
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"Airflow did not {deed} within {seconds:g} s.\n{self._tails()}"
                )
            time.sleep(POLL_SECONDS)

    def _is_healthy(self) -> bool:
        try:
            answer = httpx.get(
                f"{self.settings.airflow_url}/api/v2/monitor/health",
                trust_env=False,
                timeout=5.0,
                verify=trusted(),
            )
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return all(answer.json()[part]["status"] == "healthy" for part in parts)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False

    def _environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        return process_environment({**environment, **self._changes})

    def _tails(self) -> str:
        logs = [
            process.log
            for process in platform_processes(self.settings)
            if process.name in self._processes and process.log.exists()
        ]
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


class Account(AirflowApi):
    """What a person does to a run: start it, answer a request, mark, clear and edit."""

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of every task."""
        return self.task_states(dag_id, run_id)

    def answer(self, dag_id: str, run_id: str, task_id: str, choice: str, reason: str) -> int:
        """Answer a request to a person; the status of the API's answer."""
        path = f"{_task(dag_id, run_id, task_id)}/-1/hitlDetails"
        body = {"chosen_options": [choice], "params_input": {REASON: reason}}
        return self.call("PATCH", path, body).status_code

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str = "success") -> int:
        """Mark a task."""
        body = {"new_state": state, "include_downstream": False}
        return self.call("PATCH", _task(dag_id, run_id, task_id), body).status_code

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> int:
        """Clear tasks of a run, and set the run running."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "reset_dag_runs": True,
        }
        return self.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body).status_code

    def edit(self, dag_id: str, run_id: str, task_id: str, value: Any) -> int:
        """Replace a task's result (XCom), or leave one in its place."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries"
        changed = self.call("PATCH", f"{path}/return_value", {"value": value, "map_index": -1})
        if changed.status_code != httpx.codes.NOT_FOUND:
            return changed.status_code
        body = {"key": "return_value", "value": value, "map_index": -1}
        return self.call("POST", path, body).status_code

    def call(self, method: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Any call; nothing that the API refuses is raised."""
        return self._attempt(method, path, json=body)


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    run = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
    return f"{run}/taskInstances/{task_id}"
