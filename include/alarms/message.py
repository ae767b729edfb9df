"""An alarm in words, for an e-mail, a chat or a webhook."""

from __future__ import annotations

from include.alarms.records import Alarm

SHOWN_REASONS = 10


def subject_of(alarm: Alarm) -> str:
    """The first line of a notice."""
    state = alarm.severity if alarm.is_open else "closed"
    return f"[{state}] {alarm.title}"


def body_of(alarm: Alarm) -> str:
    """The notice: what, since when, on which evidence, and what to do about it. Plain text."""
    lines = [alarm.reason if alarm.is_open else _closure(alarm), ""]
    facts = {
        "Alarm": str(alarm.number),
        "Owner": alarm.owner,
        "Data": "" if alarm.window is None else alarm.window.text,
        "Run": alarm.run,
        "Opened": f"{alarm.opened_at:%Y-%m-%d %H:%M} UTC",
        "Seen": f"{alarm.times} times, opened {alarm.openings} times" if alarm.times > 1 else "",
    }
    lines += [f"{name}: {value}" for name, value in facts.items() if value]
    sentences = [finding.sentence for finding in alarm.evidence.refused]
    if alarm.is_open and sentences:
        lines += ["", *(f"- {sentence}" for sentence in sentences[:SHOWN_REASONS])]
        if len(sentences) > SHOWN_REASONS:
            lines.append(f"- and {len(sentences) - SHOWN_REASONS} more")
    lines += ["", f"flightdeck alarms show {alarm.number}"]
    return "\n".join(lines)


def _closure(alarm: Alarm) -> str:
    return f"Closed by {alarm.changed_by}: {alarm.changed_because}"
