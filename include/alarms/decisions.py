"""What a signal, a quiet window or a person makes of an alarm, and when people are told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.alarms.records import Alarm, Event, Signal
from include.interval import Interval
from include.spec import SEVERITIES

NOBODY = ""


@dataclass(frozen=True)
class Change:
    """An alarm as it is from now on, what that is in its history, and whether people are told."""

    alarm: Alarm
    event: Event
    tell: bool


def after_signal(alarm: Alarm | None, signal: Signal, now: datetime) -> Change | None:
    """The alarm after a signal; `None` where the signal is about a window older than one that was
    judged since, as a late copy's.
    """
    if alarm is None:
        return _told(_first(signal, now), "raised", now)
    if _is_late(alarm, signal.window):
        return None
    update: dict[str, Any] = {
        name: getattr(signal, name)
        for name in ("severity", "owner", "reason", "evidence", "run", "cool_down", "sinks", "sent")
    }
    update |= {"raised_at": now, "times": alarm.times + 1}
    if signal.window is not None:
        update |= {"window": signal.window, "decided_until": signal.window.end}
    if alarm.is_open:
        return _told(alarm.model_copy(update=update), "repeated", now)
    reopened = {
        "state": "open",
        "opened_at": now,
        "openings": alarm.openings + 1,
        **_changed(NOBODY, "it came back", now),
    }
    return _told(alarm.model_copy(update=update | reopened), "reopened", now)


def after_quiet(
    alarm: Alarm, *, window: Interval | None, actor: str, reason: str, now: datetime
) -> Change | None:
    """The alarm closed, for what was wrong was looked for and is not there any more; `None` where
    it is closed already, or the window is older than one that was judged since.
    """
    if not alarm.is_open or _is_late(alarm, window):
        return None
    decided = alarm.decided_until if window is None else window.end
    quiet = alarm.model_copy(update={"decided_until": decided})
    return closed(quiet, actor=actor, reason=reason, now=now, tell=True)


def closed(alarm: Alarm, *, actor: str, reason: str, now: datetime, tell: bool) -> Change:
    """The alarm closed; people are told where they were told that it is open."""
    tell = tell and alarm.noticed == "open" and alarm.sent
    update = {"state": "closed", **_changed(actor, reason, now)}
    if tell or alarm.noticed == "open":
        update |= {"noticed": "closed"}
    return Change(alarm.model_copy(update=update), "closed", tell)


def acknowledged(alarm: Alarm, *, actor: str, reason: str, now: datetime) -> Change:
    """The alarm as one that somebody works on: it is open, and nobody is reminded of it."""
    update = {"state": "acknowledged", **_changed(actor, reason, now)}
    return Change(alarm.model_copy(update=update), "acknowledged", tell=False)


def postponed(alarm: Alarm, now: datetime) -> Alarm | None:
    """The alarm as told of now, where a notice was held back by the cool-down that is over; `None`
    where people know how it stands.
    """
    if alarm.state != "open" or alarm.noticed == "open" or not alarm.sent:
        return None
    return _as_told(alarm, now) if _is_cool(alarm, now) else None


def _first(signal: Signal, now: datetime) -> Alarm:
    shared = signal.model_dump(exclude={"occurrence", "key", "evidence", "window"})
    return Alarm(
        number=0,
        key=signal.key,
        state="open",
        evidence=signal.evidence,
        window=signal.window,
        decided_until=None if signal.window is None else signal.window.end,
        opened_at=now,
        raised_at=now,
        times=1,
        openings=1,
        **_changed(NOBODY, "", now),
        **shared,
    )


def _told(alarm: Alarm, event: Event, now: datetime) -> Change:
    """The change, told unless somebody works on it or the last notice is too fresh; what matters
    more than what people were told is told at once.
    """
    worse = alarm.noticed == "open" and _rank(alarm.severity) > _rank(alarm.noticed_severity)
    reminds = alarm.state == "open" and _is_cool(alarm, now)
    if not alarm.sent or not (worse or reminds):
        return Change(alarm, event, tell=False)
    return Change(_as_told(alarm, now), event, tell=True)


def _as_told(alarm: Alarm, now: datetime) -> Alarm:
    update = {"noticed": "open", "noticed_at": now, "noticed_severity": alarm.severity}
    return alarm.model_copy(update=update)


def _is_cool(alarm: Alarm, now: datetime) -> bool:
    return alarm.noticed_at is None or now - alarm.noticed_at >= alarm.cool_down


def _is_late(alarm: Alarm, window: Interval | None) -> bool:
    return (
        window is not None and alarm.decided_until is not None and window.end < alarm.decided_until
    )


def _rank(severity: str) -> int:
    return [str(item) for item in SEVERITIES].index(severity)


def _changed(actor: str, reason: str, now: datetime) -> dict[str, Any]:
    return {"changed_by": actor, "changed_because": reason, "changed_at": now}
