"""From what monitoring decided about a window to alarms: raised by what refuses, closed by what was
judged and is quiet. What could not be judged changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from include.alarms.records import Alarm, Key, signal_of
from include.alarms.store import AlarmStore
from include.interval import Interval
from include.settings import Settings
from include.spec import AlarmKind, UseCase
from include.verdict import Finding, Verdict

QUIET = "the window was judged, and is quiet"


def record(
    settings: Settings,
    use_case: UseCase,
    window: Interval,
    run: str,
    findings: Sequence[Finding],
    faults: Sequence[Finding] = (),
    serving: Sequence[Finding] = (),
    *,
    quiet: str = QUIET,
) -> list[Alarm]:
    """Raise, repeat or close the alarms of the window; those that are open because of it.

    `findings` are those of all questions, by their `subject`; `faults` those about the data, none
    where that could not be judged; `serving` those about the endpoint. `quiet` is why an
    alarm closes. Raises `AlarmError`.
    """
    store = AlarmStore(settings)
    by_kind: dict[AlarmKind, list[Finding]] = {
        "drift": [finding for finding in findings if finding.subject == "drift"],
        "performance": [finding for finding in findings if finding.subject == "performance"],
        "schema": list(faults),
        "serving": list(serving),
    }
    raising = {*use_case.monitoring.alarm_on, "schema", "serving"}
    raised: list[Alarm] = []
    for kind, judged in by_kind.items():
        refused = tuple(finding for finding in judged if not finding.passed)
        if refused and kind in raising:
            signal = signal_of(
                use_case,
                kind,
                " ".join(_whole(refused)),
                run=run,
                evidence=Verdict(findings=refused),
                window=window,
            )
            raised.append(store.signal(signal))
        elif not refused and _is_quiet(kind, judged):
            key = Key(use_case=use_case.name, kind=kind)
            store.quiet(key, actor=run, reason=quiet, window=window)
    return [alarm for alarm in raised if alarm.is_open]


def _is_quiet(kind: AlarmKind, findings: Sequence[Finding]) -> bool:
    """Whether the window says that all is well. Of the endpoint each limit asks for itself: that
    its memory is fine says nothing of errors that too few requests could show.
    """
    passed = [finding.outcome == "passed" for finding in findings]
    return any(passed) and (kind != "serving" or all(passed))


def _whole(refused: Sequence[Finding]) -> list[str]:
    """A sentence for each finding about the whole; of parts alone, for the first of them."""
    whole = [finding.sentence for finding in refused if not finding.part]
    return whole or [finding.sentence for finding in refused[:1]]
