"""What Airflow itself knows about a run: who started it, and who answered which request.

Read from the public API, as an account that may only look. Task states, results (XCom) and the
audit log can be written by everybody who may run the DAG; users and answers only by Airflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from include.errors import ReleaseError
from include.release.approval import Answer
from include.settings import Settings
from include.tls import trusted

ACCOUNT = "releases"
TIMEOUT_SECONDS = 30.0
MOST_RUNS = 20
"""How many runs are followed back to whoever started the first of them."""


class AirflowRecords:
    """A signed-in reader of Airflow's API; raises `ReleaseError` where Airflow does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = httpx.Client(
            base_url=settings.airflow_url,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            verify=trusted(),
        )
        self._headers: dict[str, str] = {}

    def __enter__(self) -> AirflowRecords:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def answer(self, dag_id: str, run_id: str, task_id: str) -> Answer | None:
        """The request of the task's newest try; None where that try has made none."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/-1/hitlDetails"
        content = self._get(path)
        if content is None:
            return None
        user, task = content.get("responded_by_user") or {}, content["task_instance"]
        return Answer(
            task_id=task_id,
            try_number=task["try_number"],
            task_state=str(task["state"]),
            subject=content["subject"],
            body=content["body"] or "",
            created_at=content["created_at"],
            answered_at=content["responded_at"],
            chosen=tuple(content["chosen_options"] or ()),
            responder_id=user.get("id"),
            responder_name=user.get("name"),
            inputs=content["params_input"] or {},
        )

    def requesters(self, dag_id: str, run_id: str) -> tuple[str, ...]:
        """The users who started the run, or one of those whose asset events led to it."""
        return tuple(sorted(set(self._starters(dag_id, run_id))))

    def _starters(self, dag_id: str, run_id: str) -> Iterator[str]:
        waiting = [(dag_id, run_id)]
        followed: set[tuple[str, str]] = set()
        while waiting and len(followed) < MOST_RUNS:
            run = waiting.pop(0)
            if run in followed:
                continue
            followed.add(run)
            content = self._get(_run(*run))
            if content is None:
                continue
            if content["triggering_user_name"]:
                yield content["triggering_user_name"]
            events = self._get(f"{_run(*run)}/upstreamAssetEvents") or {"asset_events": []}
            waiting += [
                (event["source_dag_id"], event["source_run_id"])
                for event in events["asset_events"]
                if event["source_dag_id"] and event["source_run_id"]
            ]

    def _get(self, path: str) -> dict[str, Any] | None:
        """The JSON object behind `path`; None where there is none."""
        try:
            self._headers = self._headers or self._sign_in()
            answer = self._client.get(path, headers=self._headers)
        except httpx.HTTPError as error:
            raise ReleaseError(
                f"Airflow does not answer on {self._settings.airflow_url} ({error}); who approved"
                " what cannot be read, so nothing is released."
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            raise ReleaseError(
                f"Airflow answers {answer.status_code} to GET {path}: {answer.text[:300]}"
            )
        content: dict[str, Any] = answer.json()
        return content

    def _sign_in(self) -> dict[str, str]:
        path = self._settings.airflow_accounts_path
        try:
            password = json.loads(path.read_text(encoding="utf-8"))[ACCOUNT]
        except (OSError, ValueError, KeyError) as error:
            raise ReleaseError(
                f"{path} holds no password of Airflow's account {ACCOUNT!r} ({error!r}), with which"
                " a release reads who approved it; restart the platform, or set"
                " FLIGHTDECK_AIRFLOW_ACCOUNTS_FILE."
            ) from error
        body = {"username": ACCOUNT, "password": password}
        answer = self._client.post("/auth/token", json=body)
        if not answer.is_success:
            raise ReleaseError(
                f"Airflow refuses its account {ACCOUNT!r} ({answer.status_code}); correct the"
                f" password in {path}."
            )
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
