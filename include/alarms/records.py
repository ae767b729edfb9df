"""What an alarm is: one row for what is wrong with a use case, however often it is seen."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from include.interval import Interval
from include.spec import AlarmKind, Severity, UseCase
from include.verdict import Verdict

State = Literal["open", "acknowledged", "closed"]
Event = Literal["raised", "repeated", "reopened", "acknowledged", "closed", "noted"]

SEVERITY: dict[AlarmKind, Severity] = {
    "performance": "critical",
    "drift": "warning",
    "schema": "critical",
    "serving": "warning",
    "ledger": "critical",
    "rollback": "critical",
    "held": "warning",
    "approval": "info",
    "failed_run": "warning",
}
"""How much an alarm of each kind matters."""

TITLES: dict[AlarmKind, str] = {
    "performance": "The model performs worse than when it was released",
    "drift": "The inputs are not what the model was trained on",
    "schema": "The data has faults",
    "serving": "The endpoint is slow, fails or needs more than it may",
    "ledger": "The release ledger or what follows from it was changed by hand",
    "rollback": "Traffic was given back to an earlier version",
    "held": "A release decided nothing and waits for a person",
    "approval": "A release waits for approval",
    "failed_run": "A run failed",
}
"""What each kind means, for people."""


def clock() -> datetime:
    """Now, in UTC: alarms, unlike data, happen at a time of day."""
    return datetime.now(UTC)


class Frozen(BaseModel):
    """Base of what the store keeps: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Key(Frozen):
    """What an alarm is about; there is one alarm for each. `subject` tells alarms of one kind
    apart: a process, a version.
    """

    use_case: str
    kind: AlarmKind
    subject: str = ""


class Signal(Frozen):
    """Something is wrong: who saw it, in which window of data, on which evidence.

    `occurrence` tells apart what one run signals more than once about the same. `cool_down`,
    `sinks` and `sent` are what the use case declares about notices.
    """

    key: Key
    severity: Severity
    owner: str
    reason: str
    evidence: Verdict
    run: str
    window: Interval | None = None
    occurrence: str = ""
    cool_down: timedelta
    sinks: tuple[str, ...] | None
    sent: bool

    @property
    def once(self) -> str:
        """The same for every copy of the same signal."""
        return once(self.key, "signal", self.run, self.window, self.occurrence)


class Alarm(Frozen):
    """What is wrong, and what became of it.

    `window` is the newest window of data that shows it and `decided_until` the end of the newest
    that was judged, quiet or not. `times` counts the signals, `openings` how often it was opened.
    `noticed_at` is when people were last told that it is open, and `noticed` which of both
    (`open`, `closed`) they were told last; empty where nobody was.
    """

    number: int
    key: Key
    state: State
    severity: Severity
    owner: str
    reason: str
    evidence: Verdict
    run: str
    window: Interval | None
    decided_until: datetime | None
    opened_at: datetime
    raised_at: datetime
    times: int
    openings: int
    changed_by: str
    changed_because: str
    changed_at: datetime
    cool_down: timedelta
    sinks: tuple[str, ...] | None
    sent: bool
    noticed: Literal["", "open", "closed"] = ""
    noticed_at: datetime | None = None
    noticed_severity: Severity = "info"

    @property
    def is_open(self) -> bool:
        """Whether it is still wrong, as far as is known."""
        return self.state != "closed"

    @property
    def title(self) -> str:
        """One line for people."""
        about = f" ({self.key.subject})" if self.key.subject else ""
        return f"{self.key.use_case}: {TITLES[self.key.kind]}{about}"


class Happening(Frozen):
    """A row of an alarm's history."""

    at: datetime
    event: Event
    actor: str
    reason: str


class Notice(Frozen):
    """What people are told about an alarm, once per sink. `number` orders them."""

    number: int
    alarm: int
    key: Key
    severity: Severity
    owner: str
    sinks: tuple[str, ...] | None
    at: datetime
    title: str
    body: str
    is_open: bool


def once(key: Key, what: str, run: str, window: Interval | None, occurrence: str) -> str:
    """A digest that no second row of an alarm's history may share."""
    label = "" if window is None else window.label
    parts = (key.use_case, key.kind, key.subject, what, run, label, occurrence)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def signal_of(
    use_case: UseCase,
    kind: AlarmKind,
    reason: str,
    *,
    run: str,
    evidence: Verdict | None = None,
    **where: Any,
) -> Signal:
    """A signal with what the use case declares; `where` may hold `subject`, `window` and
    `occurrence`.
    """
    declared = use_case.alarms
    return Signal(
        key=Key(use_case=use_case.name, kind=kind, subject=where.pop("subject", "")),
        severity=SEVERITY[kind],
        owner=use_case.owner,
        reason=reason,
        evidence=evidence or Verdict(),
        run=run,
        cool_down=declared.cool_down,
        sinks=declared.sinks,
        sent=kind not in declared.recorded_only,
        **where,
    )
