"""Back-fills as a user asks for them, one call each, and what came of the call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import httpx

from include.settings import Settings
from proofs.harness.airflow import Account

LOCKED = "database is locked"


@dataclass(frozen=True)
class BackfillCall:
    """One call: its seconds, the API's status and words, and how many runs the back-fill has.

    `open_after` says whether a back-fill stands after the call, be it whole or half-made.
    """

    dag_id: str
    seconds: float
    status: int
    detail: str
    runs: int
    open_after: bool

    @property
    def is_locked(self) -> bool:
        """Whether the database refused it as locked."""
        return LOCKED in self.detail.lower()

    @property
    def is_half_made(self) -> bool:
        """Whether it failed and left a back-fill behind."""
        return self.status != httpx.codes.OK and self.open_after


class Backfills:
    """Back-fills of a running Airflow. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        # A caller that tries again would hide what it was answered at first.
        self._once = Account(settings, attempts=1)
        self._patient = Account(settings, attempts=20)

    def __enter__(self) -> Backfills:
        return self

    def __exit__(self, *_: object) -> None:
        self._once.close()
        self._patient.close()

    def ask(self, dag_id: str, first: datetime, last: datetime) -> BackfillCall:
        """Ask once for a back-fill of the runs whose logical dates lie in `[first, last]`."""
        body = {
            "dag_id": dag_id,
            "from_date": first.isoformat(),
            "to_date": last.isoformat(),
            "max_active_runs": 1,
            "reprocess_behavior": "failed",
        }
        begin = time.monotonic()
        answer = self._once.call("POST", "/api/v2/backfills", body)
        seconds = time.monotonic() - begin
        # Of the runs whose dates these are, those that wait or run.
        runs = [
            run
            for run in self._patient.runs(
                dag_id,
                run_type="backfill",
                logical_date_gte=first.isoformat(),
                logical_date_lte=last.isoformat(),
            )
            if run["state"] in ("queued", "running")
        ]
        return BackfillCall(
            dag_id=dag_id,
            seconds=seconds,
            status=answer.status_code,
            detail="" if answer.is_success else answer.text[:500],
            runs=len(runs),
            open_after=bool(self._open(dag_id)),
        )

    def end(self, dag_id: str) -> None:
        """Cancel what stands of the DAG's back-fills, and fail the runs that have begun."""
        for number in self._open(dag_id):
            self._patient.call("PUT", f"/api/v2/backfills/{number}/cancel", {})
        for run in self._patient.runs(dag_id, run_type="backfill", state="running"):
            path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'], safe='')}"
            self._patient.call("PATCH", path, {"state": "failed"})

    def _open(self, dag_id: str) -> list[int]:
        answer = self._patient.get("/api/v2/backfills", {"dag_id": dag_id, "limit": 100})
        return [one["id"] for one in answer["backfills"] if one["completed_at"] is None]
