"""Back-fills as a user asks for them, one call each, and what came of the call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from include.errors import PlatformError
from include.settings import Settings
from proofs.harness.airflow import Account

LOCKED = "database is locked"
END_SECONDS = 60.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class BackfillCall:
    """One call: its seconds, the API's status and words, and how many runs it queued.

    `left` says of each run that it did not queue in which state it was found, by the run's id.
    `open_after` says whether a back-fill stands after the call, be it whole or half-made.
    """

    dag_id: str
    seconds: float
    status: int
    detail: str
    runs: int
    left: Mapping[str, str]
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
            # A run that is failed by hand while the scheduler looks at it may end as a success: all
            # its tasks are skipped.
            "reprocess_behavior": "completed",
        }
        asked_at, begin = datetime.now(UTC), time.monotonic()
        answer = self._once.call("POST", "/api/v2/backfills", body)
        seconds = time.monotonic() - begin
        runs = self._runs(
            dag_id, logical_date_gte=first.isoformat(), logical_date_lte=last.isoformat()
        )
        # A run counts by when it was queued: what the scheduler has done to it since is not the
        # call's.
        left = {run["dag_run_id"]: run["state"] for run in runs if _queued_at(run) < asked_at}
        return BackfillCall(
            dag_id=dag_id,
            seconds=seconds,
            status=answer.status_code,
            detail="" if answer.is_success else answer.text[:500],
            runs=len(runs) - len(left),
            left=left,
            open_after=bool(self._open(dag_id)),
        )

    def end(self, dag_id: str) -> None:
        """Cancel what stands of the DAG's back-fills, fail the runs that have begun, and wait until
        none is under way: a run that still is would be passed over by the next call.

        Raises `PlatformError` when that does not come to be.
        """
        deadline = time.monotonic() + END_SECONDS
        while True:
            for number in self._open(dag_id):
                self._patient.call("PUT", f"/api/v2/backfills/{number}/cancel", {})
            under_way = [
                run for run in self._runs(dag_id) if run["state"] not in ("success", "failed")
            ]
            if not under_way:
                return
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{dag_id}: {len(under_way)} runs are still under way {END_SECONDS:g} s after"
                    f" their back-fill was cancelled, the first {under_way[0]['dag_run_id']}."
                )
            for run in under_way:
                path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'], safe='')}"
                self._patient.call("PATCH", path, {"state": "failed"})
            time.sleep(POLL_SECONDS)

    def _runs(self, dag_id: str, **filters: str) -> list[dict[str, Any]]:
        return self._patient.runs(dag_id, run_type="backfill", **filters)

    def _open(self, dag_id: str) -> list[int]:
        answer = self._patient.get("/api/v2/backfills", {"dag_id": dag_id, "limit": 100})
        return [one["id"] for one in answer["backfills"] if one["completed_at"] is None]


def _queued_at(run: Mapping[str, Any]) -> datetime:
    at = run["queued_at"]
    return datetime.fromisoformat(at) if at else datetime.min.replace(tzinfo=UTC)
