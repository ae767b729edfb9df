"""The reporter tells releases which plan this process follows, in a thread of its own: loading a
version may take minutes, and a process that says nothing for long is taken for dead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from operator import is_

from include.errors import FlightdeckError
from include.release.followers import (
    REPORT_SECONDS,
    SHARED_REPORT_SECONDS,
    Follower,
    Process,
    report,
    this_process,
    withdraw_report,
)
from include.release.plan import IssuedPlan, Plan
from include.settings import Settings
from serving.models.slots import ModelSlot

LOOK_SECONDS = 0.25

State = tuple[IssuedPlan | None, Plan | None, str | None]
"""What a report says: the plan in force, the newest one, and why that is not followed."""

logger = logging.getLogger("flightdeck.serving")


class Reporter:
    """Reports every slot when it changes, and from time to time."""

    def __init__(self, settings: Settings, slots: Mapping[str, ModelSlot]) -> None:
        self._settings = settings
        self._slots = slots
        shared = settings.models_uri is not None
        self._seconds = SHARED_REPORT_SECONDS if shared else REPORT_SECONDS
        self._process = this_process()
        self._reported: dict[str, tuple[State, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flightdeck-reporter", daemon=True)

    def start(self) -> None:
        """Begin reporting."""
        self._process = this_process()
        self._thread.start()

    def stop(self) -> None:
        """Take the reports away."""
        self._stop.set()
        self._thread.join(timeout=10.0)
        for name in self._slots:
            self.withdraw(name)

    def withdraw(self, name: str) -> None:
        """Take the report of one use case away."""
        self._reported.pop(name, None)
        withdraw_report(self._settings, name, self._process)

    def _run(self) -> None:
        while True:
            for name, slot in self._slots.items():
                self._look(name, slot)
            if self._stop.wait(LOOK_SECONDS):
                return

    def _look(self, name: str, slot: ModelSlot) -> None:
        state = (slot.issued, slot.plan, slot.problem)
        last, due = self._reported.get(name, (None, 0.0))
        if last is not None and time.monotonic() < due and all(map(is_, state, last)):
            return
        try:
            report(self._settings, follower_of(slot, self._settings, self._process))
        except (FlightdeckError, OSError) as error:
            logger.warning("%s: the plan that is followed cannot be reported: %s", name, error)
        self._reported[name] = (state, time.monotonic() + self._seconds)


def follower_of(slot: ModelSlot, settings: Settings, process: Process) -> Follower:
    """What a process reports of a slot. One that stands by follows its plan as long as nothing has
    kept its version from being loaded.
    """
    issued, plan = None if slot.load_error else slot.issued, slot.plan
    return Follower(
        process=process,
        use_case=slot.use_case.name,
        port=settings.serving_port,
        sequence=None if issued is None else issued.plan.sequence,
        plan="" if issued is None else issued.plan.fingerprint,
        versions=()
        if issued is None
        else tuple((arm.version, arm.digest) for arm in issued.plan.versions),
        error=slot.problem,
        refused="" if plan is None or slot.not_here else plan.fingerprint,
        heartbeat=time.time(),
    )
