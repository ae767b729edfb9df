"""Airflow's public REST API, as far as Flightdeck's commands need it."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

import httpx

from cli.platform.environment import passwords, user_of_commands
from include.errors import PlatformError
from include.settings import Settings
from include.tls import trusted

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
PAGE = 100
PARSE_SECONDS = 120.0
LOG_ERRORS = 5
"""As many of a failed task's errors are shown; the last say why."""
PAUSE_SECONDS = 0.5
MAY_BE_REPEATED = (httpx.codes.CONFLICT, *range(500, 600))


class AirflowApi:
    """A signed-in client of the platform's api-server.

    Every call is safe to repeat, so a time-out, a dropped connection or a 5xx is tried again a few
    times. What remains is a `PlatformError` that names the call, the status and Airflow's own
    explanation.

    :param user: one of the settings' users; without it the one as whom commands start runs.
    :param password: the user's, where it is not that of the platform's own file.
    :param attempts: how often a call is made while the server is busy or away.
    """

    def __init__(
        self,
        settings: Settings,
        user: str | None = None,
        *,
        password: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._settings = settings
        self._user = user or user_of_commands(settings)
        self._password = password
        self._attempts = attempts
        self._client = httpx.Client(
            base_url=settings.airflow_url,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            verify=trusted(),
        )
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """GET `path` (it begins with `/api/v2/`) and return the JSON object."""
        return self._json(self._request("GET", path, params=params))

    def post(self, path: str, json: Mapping[str, Any]) -> dict[str, Any]:
        """POST a JSON object to `path` and return the answer's JSON object."""
        return self._json(self._request("POST", path, json=json))

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        logical_date: datetime | None = None,
        data_interval: tuple[datetime, datetime] | None = None,
        conf: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a run and return its state; a run of that id that exists already is left as it is
        and its state returned.
        """
        start, end = data_interval or (None, None)
        body = {
            "dag_run_id": run_id,
            "logical_date": _iso(logical_date),
            "data_interval_start": _iso(start),
            "data_interval_end": _iso(end),
            "conf": dict(conf or {}),
        }
        answer = self._request(
            "POST", f"{_dag(dag_id)}/dagRuns", json=body, accept=(httpx.codes.CONFLICT,)
        )
        if answer.status_code == httpx.codes.CONFLICT:
            return self.run_state(dag_id, run_id)
        return str(self._json(answer)["state"])

    def answer_request(
        self, dag_id: str, run_id: str, task_id: str, option: str, inputs: Mapping[str, Any]
    ) -> None:
        """Answer the request to a person that a task waits with, as the signed-in user; Airflow
        refuses whoever is not among those who are asked.
        """
        path = f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id)}"
        body = {"chosen_options": [option], "params_input": dict(inputs)}
        self._request("PATCH", f"{path}/-1/hitlDetails", json=body)

    def rerun(self, dag_id: str, run_id: str) -> None:
        """Clear every task of a finished run, so that Airflow runs it again under the same id."""
        self.post(
            f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}/clear",
            {"dry_run": False, "only_failed": False},
        )

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self.get(f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}")["state"])

    def runs(self, dag_id: str, **filters: Any) -> list[dict[str, Any]]:
        """All runs of the DAG, oldest first;

        `filters` are the query parameters of Airflow's list of runs.
        """
        return self._all(f"{_dag(dag_id)}/dagRuns", "dag_runs", filters)

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of each task of a run; a mapped task's instances are `task_id[index]`.

        `None` is not yet scheduled.
        """
        tasks = self._all(
            f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances", "task_instances", {}
        )
        return {
            (
                task["task_id"]
                if task["map_index"] < 0
                else f"{task['task_id']}[{task['map_index']}]"
            ): task["state"]
            for task in tasks
        }

    def failures(self, dag_id: str, run_id: str) -> list[str]:
        """Say why each failed task of a run failed: its id, its try and the errors of its log."""
        run = f"{_dag(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return [
            f"{task['task_id']}, try {task['try_number']}: {self._errors(run, task)}"
            for task in self._all(run, "task_instances", {"state": "failed"})
        ]

    def _errors(self, run: str, task: Mapping[str, Any]) -> str:
        try:
            log = self.get(
                f"{run}/{quote(task['task_id'], safe='')}/logs/{task['try_number']}",
                {"map_index": task["map_index"], "full_content": True},
            )
        except PlatformError as error:
            return f"its log cannot be read ({error})"
        lines = [line for line in log["content"] if isinstance(line, dict)]
        errors = [
            " ".join(str(part) for part in _parts(line) if part)
            for line in lines
            if line.get("level") in ("error", "critical")
        ]
        return " / ".join(errors[-LOG_ERRORS:]) or "its log holds no error"

    def backfill(
        self, dag_id: str, start: datetime, end: datetime, *, max_active_runs: int = 1
    ) -> int:
        """Let Airflow back-fill the runs whose logical dates lie in `[start, end]`, oldest first;
        return the back-fill's id.

        Runs that succeeded stay as they are, failed ones run again. A back-fill of the DAG that is
        under way is returned instead of a second one. Raises `PlatformError` when the schedule has
        no run in that range.
        """
        body = {
            "dag_id": dag_id,
            "from_date": _iso(start),
            "to_date": _iso(end),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": "failed",
        }
        for attempt in range(1, self._attempts + 1):
            before = self._open_backfills(dag_id)
            answer = self._request(
                "POST", "/api/v2/backfills", repeats_errors=False, json=body, accept=MAY_BE_REPEATED
            )
            if answer.status_code == httpx.codes.CONFLICT:
                return max(self._open_backfills(dag_id) or self._backfills(dag_id))
            if answer.is_success:
                return int(self._json(answer)["id"])
            # Airflow stores a back-fill before its runs. One that failed in between is taken back:
            # it would be answered to the next try as the one that is under way.
            for half_made in self._open_backfills(dag_id) - before:
                self._request("PUT", f"/api/v2/backfills/{half_made}/cancel")
            time.sleep(PAUSE_SECONDS * attempt)
        raise self._refusal(answer)

    def _open_backfills(self, dag_id: str) -> set[int]:
        return {number for number, is_open in self._backfills(dag_id).items() if is_open}

    def _backfills(self, dag_id: str) -> dict[int, bool]:
        """The DAG's back-fills by their ids, and whether each is under way."""
        backfills = self._all("/api/v2/backfills", "backfills", {"dag_id": dag_id})
        return {int(one["id"]): one["completed_at"] is None for one in backfills}

    def wait_for_dag(self, dag_id: str, seconds: float = PARSE_SECONDS) -> None:
        """Return once the DAG is parsed and stored; after `seconds` raise with the import error of
        its file, or with those of all files where its own has none.
        """
        deadline = time.monotonic() + seconds
        missing = (httpx.codes.NOT_FOUND,)
        while True:
            answer = self._request("GET", f"{_dag(dag_id)}/details", accept=missing)
            if answer.status_code == httpx.codes.OK:
                details = self._json(answer)
                if not details["is_stale"] and not details["has_import_errors"]:
                    return
            if time.monotonic() > deadline:
                errors = self._all("/api/v2/importErrors", "import_errors", {})
                traces = {error["filename"]: error["stack_trace"] for error in errors}
                raise PlatformError(
                    f"the DAG {dag_id} is not there after {seconds:.0f} s:"
                    f" {why_missing(dag_id, traces)}"
                )
            time.sleep(0.5)

    def _all(self, path: str, key: str, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        while True:
            page = self.get(path, {"limit": PAGE, "offset": len(items), **filters})
            items.extend(page[key])
            if len(page[key]) < PAGE or len(items) >= (page.get("total_entries") or 0):
                return items

    def _request(
        self,
        method: str,
        path: str,
        *,
        accept: Collection[int] = (),
        repeats_errors: bool = True,
        **kwargs: Any,
    ) -> httpx.Response:
        answer = self._attempt(method, path, repeats_errors=repeats_errors, **kwargs)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = None
            answer = self._attempt(method, path, repeats_errors=repeats_errors, **kwargs)
        if answer.is_success or answer.status_code in accept:
            return answer
        raise self._refusal(answer)

    def _attempt(
        self, method: str, path: str, *, repeats_errors: bool = True, **kwargs: Any
    ) -> httpx.Response:
        """One call, repeated while the server is away and, with `repeats_errors`, while it answers
        that it cannot; the last failure is raised.
        """
        attempt = 1
        while True:
            try:
                token = self._token or self._sign_in()
                answer = self._client.request(
                    method, path, headers={"Authorization": f"Bearer {token}"}, **kwargs
                )
                last = attempt >= self._attempts or not repeats_errors
                if not answer.is_server_error or last:
                    return answer
            except httpx.TransportError as error:
                if attempt >= self._attempts:
                    raise PlatformError(
                        f"Airflow does not answer {method} {path} on {self._settings.airflow_url}"
                        f" ({type(error).__name__}); `make status` shows what runs, `make up`"
                        " starts it."
                    ) from error
            time.sleep(PAUSE_SECONDS * attempt)
            attempt += 1

    def _sign_in(self) -> str:
        password = self._password or passwords(self._settings)[self._user]
        body = {"username": self._user, "password": password}
        answer = self._client.post("/auth/token", json=body)
        if not answer.is_success:
            raise self._refusal(answer)
        self._token = str(answer.json()["access_token"])
        return self._token

    def _refusal(self, answer: httpx.Response) -> PlatformError:
        request = answer.request
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = answer.text[:500]
        return PlatformError(
            f"Airflow answers {answer.status_code} to {request.method} {request.url.path}: {detail}"
        )

    @staticmethod
    def _json(answer: httpx.Response) -> dict[str, Any]:
        content: dict[str, Any] = answer.json()
        return content


def _parts(line: Mapping[str, Any]) -> list[Any]:
    """What a line of a task's log says of an error: its text and its exceptions, the outermost
    first; a task that exited with a sentence says that alone.
    """
    exited = line.get("exit_code")
    if isinstance(exited, str):
        return [exited]
    details = line.get("error_detail") or []
    exceptions = [f"{detail.get('exc_type')}: {detail.get('exc_value')}" for detail in details]
    return [line["event"], *exceptions]


def why_missing(dag_id: str, traces: Mapping[str, str]) -> str:
    """Why a DAG is not there, from the traceback of each DAG file that cannot be imported: that of
    its own file alone, where there is one.
    """
    own = f"{dag_id.rpartition('__')[0]}.py"
    shown = {own: traces[own]} if own in traces else traces
    errors = [_import_error(file, trace) for file, trace in shown.items()]
    return "\n".join(errors) or "no DAG file defines it; see the log of airflow-dag-processor"


def _import_error(file: str, trace: str) -> str:
    """The error and its line in the file: whoever wrote that has written none of what lies between
    the two.
    """
    lines = trace.strip().splitlines()
    inner = [number for number, line in enumerate(lines) if line.startswith((" ", "Traceback"))]
    error = "\n".join(lines[inner[-1] + 1 :] if inner else lines)
    places = re.findall(rf'^ +File "(?:.*/)?{re.escape(file)}", line (\d+)', trace, re.MULTILINE)
    return f"dags/{file}: " + (f"line {places[-1]}: " if places else "") + error


def _dag(dag_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
