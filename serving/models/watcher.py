"""The watcher has every slot follow its plan, in a thread of its own, and has it reported."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from include.settings import Settings
from include.spec import UseCase
from serving.models.reporter import Reporter
from serving.models.slots import ModelSlot
from serving.scoring.batch import Scored

WATCH_SECONDS = 0.25


class ModelWatcher:
    """The thread that keeps every slot at its plan."""

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
        self.slots = {name: ModelSlot(settings, use_case) for name, use_case in use_cases.items()}
        self._reporter = Reporter(settings, self.slots)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flightdeck-models", daemon=True)

    @property
    def alive(self) -> bool:
        """Say whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()
        self._reporter.start()

    def stop(self) -> None:
        """End watching and wait for the thread."""
        self._stop.set()
        self._thread.join(timeout=10.0)
        self._reporter.stop()
        for slot in self.slots.values():
            slot.close()

    def mirror(self, use_case: str, scored: Scored) -> None:
        """Have a use case's shadow score what was answered; never waits."""
        self.slots[use_case].mirror(scored)

    def _watch(self) -> None:
        for slot in self.slots.values():
            slot.restore()
        while not self._stop.wait(WATCH_SECONDS):
            for slot in self.slots.values():
                slot.refresh()
