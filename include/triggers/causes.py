"""Why trainings start: one row per cause in the Delta table `<use_case>/triggers`, written by
whoever sees the cause.

Airflow's asset events may collapse into one run or stall; this table is what is believed. A cause
is `pending` until one training takes it, `taken` while that runs, and `consumed` when it has
decided; a training that breaks gives it back. Or it is `suppressed` with the reason from the start.
Every change is one optimistic Delta transaction over the whole table (it holds a row per cause, not
per prediction): of two that overlap one fails to commit, reads again and decides again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import polars as pl

from include.interval import Interval
from include.settings import Settings
from include.steps import StepContext
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore

Kind = Literal["schedule", "backfill", "new_data", "alarm", "manual", "event", "local"]
Status = Literal["pending", "taken", "consumed", "suppressed"]

PENDING: Status = "pending"
TAKEN: Status = "taken"
CONSUMED: Status = "consumed"
SUPPRESSED: Status = "suppressed"

SCHEMA: dict[str, Any] = {
    "cause_id": pl.String,
    "kind": pl.String,
    "reason": pl.String,
    "evidence_json": pl.String,
    "who": pl.String,
    "interval_start": TIMESTAMP,
    "interval_end": TIMESTAMP,
    "source_dag_id": pl.String,
    "source_run_id": pl.String,
    "status": pl.String,
    "suppressed_because": pl.String,
    "consumed_by": pl.String,
    "begun_at": TIMESTAMP,
    "ended_at": TIMESTAMP,
}
LONGEST_TRAINING = timedelta(hours=4)
"""A training that began longer ago does not run any more, whether or not it said how it ended: its
DAG run has this time-out.
"""


@dataclass(frozen=True)
class Cause:
    """One reason to train: what happened (`kind`, `reason`, `evidence`), who saw it (`who`, the
    source run), in which data.

    `interval` is the interval of data that the cause is about: every distance between causes is
    measured between its ends. `consumed_by` is the training that has taken it last; a pending cause
    with one was given back. `begun_at` and `ended_at` are the times of day at which that training
    took it, and ended; null in rows from before there were any.
    """

    cause_id: str
    kind: Kind
    reason: str
    who: str
    interval: Interval
    evidence: dict[str, Any] = field(default_factory=dict)
    source_dag_id: str | None = None
    source_run_id: str | None = None
    status: Status = PENDING
    suppressed_because: str | None = None
    consumed_by: str | None = None
    begun_at: datetime | None = None
    ended_at: datetime | None = None

    def is_running(self, now: datetime) -> bool:
        """Whether the training that has taken it is under way."""
        begun = self.begun_at is not None and now - self.begun_at < LONGEST_TRAINING
        return begun and self.ended_at is None

    def as_json(self) -> dict[str, Any]:
        """What is shown with the run that consumed it."""
        names = ("cause_id", "kind", "reason", "who", "source_dag_id", "source_run_id", "evidence")
        return {
            **{name: getattr(self, name) for name in names},
            "interval": self.interval.as_json(),
        }

    def as_row(self) -> dict[str, Any]:
        """The row of the table."""
        row = {name: getattr(self, name) for name in SCHEMA if hasattr(self, name)}
        evidence = json.dumps(self.evidence, sort_keys=True, default=str)
        return {
            **row,
            "evidence_json": evidence,
            "interval_start": self.interval.start,
            "interval_end": self.interval.end,
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Cause:
        """Back from a row of the table."""
        names = set(SCHEMA) - {"evidence_json", "interval_start", "interval_end"}
        interval = Interval(row["interval_start"], row["interval_end"])
        return cls(
            **{name: row[name] for name in names},
            evidence=json.loads(row["evidence_json"]),
            interval=interval,
        )


def table_name(use_case_name: str) -> str:
    """`<use_case>/triggers`."""
    return f"{use_case_name}/triggers"


def read_causes(settings: Settings, use_case_name: str) -> list[Cause]:
    """All causes in the order in which they were recorded."""
    return _causes(_ledger(settings, use_case_name).read())


def causes_of_run(context: StepContext) -> list[dict[str, Any]]:
    """The causes that the context's run has consumed, as JSON; outside a wired run those that the
    context names.
    """
    consumed = [
        cause.as_json()
        for cause in read_causes(context.settings, context.use_case.name)
        if cause.consumed_by == context.run.run_id
    ]
    return consumed or [dict(cause) for cause in context.run.causes]


def consume_taken(context: StepContext) -> None:
    """Note that the run has decided: its causes have had what they asked for."""
    _set_status(context.settings, context.use_case.name, context.run.run_id, CONSUMED)


def give_back(settings: Settings, use_case_name: str, run_id: str) -> int:
    """Make the causes of a run that ended without a decision pending again; how many."""
    return _set_status(settings, use_case_name, run_id, PENDING)


def _set_status(settings: Settings, use_case_name: str, run_id: str, status: Status) -> int:
    """Change the causes that the run has taken, and, for a decision, those that it gave back: a
    run whose failed task was cleared decides after all.
    """
    open_ones = (TAKEN,) if status == PENDING else (TAKEN, PENDING)

    def changes(cause: Cause) -> bool:
        return cause.consumed_by == run_id and cause.status in open_ones

    ended_at = datetime.now(UTC)

    def ended(cause: Cause) -> Cause:
        if cause.consumed_by != run_id:
            return cause
        new = replace(cause, status=status) if changes(cause) else cause
        # The first end stays: two copies of a decision write the table once.
        return replace(new, ended_at=new.ended_at or ended_at)

    recorded = read_causes(settings, use_case_name)
    if any(ended(cause) != cause for cause in recorded):
        amend(settings, use_case_name, lambda causes: [ended(cause) for cause in causes])
    return sum(changes(cause) for cause in recorded)


def amend(
    settings: Settings, use_case_name: str, change: Callable[[list[Cause]], list[Cause]]
) -> list[Cause]:
    """Replace all causes by `change(causes)` in one transaction and return them; `change` may be
    called again after a conflict.

    Raises `DataError` when other writers win every attempt.
    """
    return _causes(
        _ledger(settings, use_case_name).amend(
            lambda rows: pl.DataFrame(
                [cause.as_row() for cause in change(_causes(rows))], schema=SCHEMA
            )
        )
    )


def _ledger(settings: Settings, use_case_name: str) -> Ledger:
    return Ledger(TableStore(settings.tables_uri), table_name(use_case_name), SCHEMA)


def _causes(rows: pl.DataFrame) -> list[Cause]:
    return [Cause.from_row(row) for row in rows.to_dicts()]
