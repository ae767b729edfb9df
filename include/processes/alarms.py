"""How processes raise alarms and close them, and the step that sends what could not be sent.

An alarm is recorded first and sent then. No sink, and no alarm of a process whose own work is done
already, fails the process: what went wrong stands in the log, and the notice waits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from include.alarms.outbox import send_waiting
from include.alarms.records import Key, Signal, clock, signal_of
from include.alarms.store import AlarmStore
from include.errors import AlarmError, SettingsError
from include.processes.results import SentAlarms
from include.settings import Settings
from include.spec import AlarmKind, UseCase
from include.steps import StepContext

LOG = logging.getLogger(__name__)


def send_alarms(context: StepContext) -> SentAlarms:
    """Send every notice that waits, whichever use case it is about.

    A sink that fails is named in the result and tried again later. Raises `SettingsError` for a
    file of sinks that makes no sense.
    """
    states = send_waiting(context.settings)
    return SentAlarms(
        sent=sum(state.sent for state in states),
        waiting=sum(state.waiting for state in states),
        failing={state.name: state.error for state in states if state.error},
    )


def raise_safely(settings: Settings, signal: Signal) -> None:
    """Record a signal and send what waits; what goes wrong is logged."""
    with _logged(f"{signal.key.use_case}: the alarm {signal.key.kind!r} is not recorded"):
        AlarmStore(settings).signal(signal)
    send_safely(settings)


def close_safely(
    settings: Settings, use_case: str, kind: AlarmKind, *, actor: str, reason: str, subject: str
) -> None:
    """Close an alarm, where it is open, and send nothing; what goes wrong is logged."""
    key = Key(use_case=use_case, kind=kind, subject=subject)
    with _logged(f"{use_case}: the alarm {kind!r} is not closed"):
        AlarmStore(settings).quiet(key, actor=actor, reason=reason)


def close_all_safely(
    settings: Settings, use_case: str, kind: AlarmKind, *, actor: str, reason: str
) -> None:
    """Close all open alarms of a kind, and send nothing; what goes wrong is logged."""
    with _logged(f"{use_case}: alarms {kind!r} are not closed"):
        store = AlarmStore(settings)
        for alarm in store.alarms(use_case=use_case, is_open=True):
            if alarm.key.kind == kind:
                store.quiet(alarm.key, actor=actor, reason=reason)


def note_safely(
    settings: Settings, use_case: str, kind: AlarmKind, *, actor: str, reason: str, once: str
) -> None:
    """Write into the history of an open alarm what was done about it; what goes wrong is logged."""
    key = Key(use_case=use_case, kind=kind)
    with _logged(f"{use_case}: the alarm {kind!r} has no note"):
        AlarmStore(settings).note(key, actor=actor, reason=reason, once=once, now=clock())


def send_safely(settings: Settings) -> None:
    """Send what waits; what goes wrong is logged, and sent again by the next who sends."""
    with _logged("No alarm is sent"):
        send_waiting(settings)


def report_failed_run(
    settings: Settings, use_case: UseCase, process: str, *, run_id: str, reason: str, started: str
) -> None:
    """Raise the alarm of a process whose run has failed; its next good run closes it.

    `started` is when the run began: one that was cleared and fails again is seen again.
    """
    signal = signal_of(
        use_case,
        "failed_run",
        f"{use_case.dag_id(process)} failed: {reason}",
        run=f"{process}/{run_id}",
        subject=process,
        occurrence=started,
    )
    raise_safely(settings, signal)


def settle_run(settings: Settings, use_case: str, process: str, run_id: str) -> None:
    """Close the alarm of a failed run, for a run of its process has ended well."""
    close_safely(
        settings,
        use_case,
        "failed_run",
        actor=f"{process}/{run_id}",
        reason="a run of the process has ended well",
        subject=process,
    )


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except (AlarmError, SettingsError, OSError) as error:
        LOG.error("%s: %s", what, error)  # noqa: TRY400  # the text says what to do
