"""Releases and alarms of a use case, and where on the axis of the data's time each belongs.

A release happens at a time of day, a window is one of the data. In operation both are the same; of
months that are replayed they are not. So a release lies at the moment that the ledger says where
that is within the windows, and otherwise at the start of the first window that its version scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from include.alarms.records import Alarm
from include.alarms.store import AlarmStore
from include.monitoring.overview.series import WindowFacts
from include.release.ledger import Entry, Ledger
from include.settings import Settings

RELEASES = ("promoted", "rolled_back")
PROMOTED, BACK = RELEASES
WORDS = {PROMOTED: "in service", BACK: "rolled back"}
DECAYS = ("performance", "drift")
"""Alarms that the windows themselves tell, each at its own."""


@dataclass(frozen=True)
class Mark:
    """A moment that charts mark: `text` is short, `about` a sentence."""

    kind: Literal["release", "alarm"]
    moment: datetime
    text: str
    about: str


@dataclass(frozen=True)
class Records:
    """A use case's releases, oldest first, and alarms, the newest signal first."""

    releases: tuple[Entry, ...] = ()
    alarms: tuple[Alarm, ...] = ()


def read_records(settings: Settings, use_case: str) -> Records:
    """What ledger and alarms hold of the use case. Raises `LedgerBroken`, `AlarmError`."""
    rows = Ledger(settings).rows(use_case)
    return Records(
        tuple(row for row in rows if row.event in RELEASES),
        tuple(AlarmStore(settings).alarms(use_case=use_case)),
    )


def marks_of(windows: Sequence[WindowFacts], records: Records) -> tuple[Mark, ...]:
    """The marks within the windows, in the order of time."""
    if not windows:
        return ()
    start, end = windows[0].interval.start, max(item.interval.end for item in windows)
    marks = [*_releases(windows, records.releases), *_alarms(windows, records.alarms)]
    within = [mark for mark in marks if start <= mark.moment <= end]
    return tuple(sorted(within, key=lambda mark: mark.moment))


def release_sentence(entry: Entry) -> str:
    """What a row of the ledger did, by whom and why."""
    return f"Version {entry.version} {WORDS[entry.event]}, by {entry.actor}: {entry.reason}"


def _releases(windows: Sequence[WindowFacts], entries: Sequence[Entry]) -> Iterator[Mark]:
    start, end = windows[0].interval.start, max(item.interval.end for item in windows)
    shown: set[int] = set()
    for entry in entries:
        if start <= entry.recorded_at <= end:
            shown.add(entry.version)
            back = "↩ " if entry.event == BACK else ""
            text = f"{back}v{entry.version}"
            yield Mark("release", entry.recorded_at, text, release_sentence(entry))
    sentences = {item.version: release_sentence(item) for item in entries if item.event != BACK}
    for before, window in zip((None, *windows), windows, strict=False):
        version = window.version
        if version not in shown and (before is None or before.version != version):
            about = sentences.get(version, f"Version {version} scores from here on")
            yield Mark("release", window.interval.start, f"v{version}", about)


def _alarms(windows: Sequence[WindowFacts], alarms: Sequence[Alarm]) -> Iterator[Mark]:
    """Each window that alarmed for drift or performance, and the newest signal of each alarm of
    another kind.
    """
    for window in windows:
        if window.alarm:
            about = f"Alarm, {window.verdict}: {' '.join(window.reasons)}"
            yield Mark("alarm", window.middle, window.verdict, about)
    for alarm in alarms:
        kind, moment = alarm.key.kind, alarm.raised_at
        if kind in DECAYS:
            continue
        if alarm.window is not None:
            moment = alarm.window.start + (alarm.window.end - alarm.window.start) / 2
        yield Mark("alarm", moment, kind, f"Alarm {alarm.number}, {kind}: {alarm.reason}")
