"""The one place that hears when people should know of a release: it was rolled back, it is held, or
it waits for an approval; and when they need not act on it any more.
"""

from __future__ import annotations

import logging
from typing import Literal

from pydantic import ValidationError

from include.alarms.records import signal_of
from include.processes.alarms import (
    close_all_safely,
    close_safely,
    note_safely,
    raise_safely,
    send_safely,
)
from include.release.ledger import Entry
from include.settings import Settings
from include.spec import AlarmKind, Decay, UseCase
from include.verdict import Verdict

LOG = logging.getLogger(__name__)

ReleaseEvent = Literal["rolled_back", "held", "approval_requested"]
WORDS: dict[ReleaseEvent, str] = {
    "rolled_back": "was rolled back",
    "held": "is held until a person decides",
    "approval_requested": "waits for an approval",
}
KINDS: dict[ReleaseEvent, AlarmKind] = {
    "rolled_back": "rollback",
    "held": "held",
    "approval_requested": "approval",
}
CURED: tuple[Decay, ...] = ("performance", "drift")


def notify_release(settings: Settings, use_case: UseCase, event: ReleaseEvent, row: Entry) -> None:
    """Raise the alarm, after the ledger's row about it was written and the traffic has moved.

    A step that is repeated says it again with the same row: `row.number` tells both apart. What
    fails here fails no release.
    """
    sentence = (
        f"Version {row.version} {WORDS[event]} (row {row.number} of the ledger): {row.reason}"
    )
    LOG.warning("%s: %s", use_case.name, sentence)
    signal = signal_of(
        use_case,
        KINDS[event],
        sentence,
        run=row.run or row.actor,
        evidence=_verdict(row),
        subject=_subject(row),
        occurrence=str(row.number),
    )
    raise_safely(settings, signal)


def settle_decision(
    settings: Settings, use_case: UseCase, event: Literal["held", "approval_requested"], row: Entry
) -> None:
    """Close the alarm of a request that was answered, or that nobody answered in time."""
    close_safely(
        settings,
        use_case.name,
        KINDS[event],
        actor=row.actor,
        reason=f"{row.event} (row {row.number} of the ledger): {row.reason}",
        subject=_subject(row),
    )
    send_safely(settings)


def settle_promotion(settings: Settings, use_case: UseCase, row: Entry) -> None:
    """Close the alarms about roll-backs, for another version serves now, and note it with those
    about decay: the next window that is judged closes them, or they stay.
    """
    actor, reason = row.run or row.actor, f"Version {row.version} is in service."
    close_all_safely(settings, use_case.name, "rollback", actor=actor, reason=reason)
    for kind in CURED:
        once = f"{use_case.name}/{kind}/{row.number}"
        note_safely(settings, use_case.name, kind, actor=actor, reason=reason, once=once)
    send_safely(settings)


def _verdict(row: Entry) -> Verdict:
    """What the row was decided on; empty where it names no verdict."""
    try:
        return Verdict.model_validate(row.evidence.get("verdict") or {})
    except ValidationError:
        return Verdict()


def _subject(row: Entry) -> str:
    return f"version {row.version}"
