"""Which version answered and why that one: the row of the release ledger that was in force, and
what the ledger says of the version until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.release.ledger import Entry, Traffic
from include.release.ledger.entries import DECIDING
from include.release.ledger.traffic import traffic_of

HISTORY = ("registered", "override", "approved", "promoted", "rolled_back", "traffic")


@dataclass(frozen=True)
class LedgerRow:
    """What a row of the release ledger says: `recorded_at` is ISO 8601, UTC."""

    number: int
    recorded_at: str
    event: str
    actor: str
    reason: str

    @classmethod
    def of(cls, entry: Entry) -> LedgerRow:
        """From the row itself."""
        moment = entry.recorded_at.isoformat(timespec="seconds")
        return cls(entry.number, moment, entry.event, entry.actor, entry.reason)


@dataclass(frozen=True)
class AnsweredBy:
    """The version that answered.

    `arm` is the part of a release that the row fell on; `fallback` says why another version than
    that arm's answered. `share` (0 to 1) is the version's part of the traffic by the row
    `decided_by`; both are None where no row of the ledger put the version into service, as where a
    plan was written by hand. `history` is what happened to the version until the answer, oldest
    first.
    """

    version: int
    digest: str | None
    arm: str
    fallback: str | None
    share: float | None
    decided_by: LedgerRow | None
    history: tuple[LedgerRow, ...]


def answered_by(
    rows: Sequence[Entry], answer: Mapping[str, Any], answered_at: datetime
) -> AnsweredBy:
    """The version of a row of the log; `rows` are the ledger's of the use case, oldest first."""
    version = int(answer["model_version"])
    deciding = [row for row in rows if row.event in DECIDING]
    traffic = _traffic(deciding, answer.get("plan"), answered_at)
    arms = () if traffic is None else traffic.arms
    arm = next((arm for arm in arms if arm.version == version), None)
    return AnsweredBy(
        version=version,
        digest=answer.get("model_digest"),
        arm=answer.get("arm") or "champion",
        fallback=answer.get("fallback"),
        share=None if arm is None else arm.share,
        decided_by=None if arm is None or traffic is None else LedgerRow.of(traffic.entry),
        history=tuple(
            LedgerRow.of(row)
            for row in rows
            if row.version == version and row.event in HISTORY and row.recorded_at <= answered_at
        ),
    )


def _traffic(deciding: Sequence[Entry], plan: int | None, answered_at: datetime) -> Traffic | None:
    """The traffic under which a row was answered: that of the plan that the log names, which has
    the number of its row; of an older log without plans that of the time.
    """
    if plan:
        return traffic_of([row for row in deciding if row.number <= plan])
    return traffic_of([row for row in deciding if row.recorded_at <= answered_at])
