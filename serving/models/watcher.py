"""The watcher has every slot follow its plan, in a thread of its own, and has it reported."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from include.settings import Settings
from include.spec import UseCase
from serving.models.bringer import Bringer, of_this_host
from serving.models.catalogue_follower import CatalogueFollower
from serving.models.contracts import Contracts
from serving.models.live import Live
from serving.models.reporter import Reporter
from serving.models.residency import Residency
from serving.models.slots import ModelSlot
from serving.scoring.batch import Scored

WATCH_SECONDS = 0.25
CATALOGUE_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")


class ModelWatcher:
    """The thread that keeps every slot at its plan, and the use cases at those of the checkout
    where it `follows` them.

    `prepare` is called with a use case as the versions of a plan read it, before that plan comes
    into force; what it raises keeps the plan out.
    """

    def __init__(
        self, settings: Settings, use_cases: Mapping[str, UseCase], *, follows: bool = False
    ) -> None:
        self.contracts = Contracts(use_cases)
        self.prepare: Callable[[UseCase], None] = _prepare_nothing
        self._settings = of_this_host(settings)
        self.slots: Live[ModelSlot] = Live(
            {name: self._slot(use_case) for name, use_case in use_cases.items()}
        )
        self.residency = Residency(self.slots, settings.serving_loaded_models)
        self._bringer = Bringer(settings, lambda: tuple(self.slots))
        self._reporter = Reporter(settings, self.slots)
        self._catalogue = CatalogueFollower(self.slots, self._add, self._drop) if follows else None
        self._stop = threading.Event()
        self._restored = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flightdeck-models", daemon=True)

    @property
    def alive(self) -> bool:
        """Say whether the thread runs, and those that load on demand."""
        return self._thread.is_alive() and self.residency.alive

    def start(self) -> None:
        """Begin watching."""
        self._bringer.start()
        self.residency.start()
        self._thread.start()
        self._reporter.start()

    def wait_restored(self, seconds: float) -> bool:
        """Wait until every slot has followed its plan as far as it can at the start; say whether
        that was so within the time.
        """
        return self._restored.wait(seconds)

    def stop(self) -> None:
        """End watching and wait for the thread."""
        self._stop.set()
        self._thread.join(timeout=10.0)
        self.residency.stop()
        self._reporter.stop()
        self._bringer.stop()
        for slot in self.slots.values():
            slot.close()

    def mirror(self, use_case: str, scored: Scored) -> None:
        """Have a use case's shadow score what was answered; never waits."""
        slot = self.slots.get(use_case)
        if slot is not None:
            slot.mirror(scored)

    def _slot(self, use_case: UseCase) -> ModelSlot:
        return ModelSlot(
            self._settings,
            use_case,
            prepare=self._prepare,
            adopt=self.contracts.put,
        )

    def _prepare(self, use_case: UseCase) -> None:
        self.prepare(use_case)  # which is set after the slots were made
        self.contracts.compile(use_case)

    def _watch(self) -> None:
        standing_by = self.residency.has_too_many
        for slot in self.slots.values():
            slot.restore(standing_by=standing_by)
        self.residency.settle(self._stop.is_set)
        self._restored.set()
        look_at = time.monotonic() + CATALOGUE_SECONDS
        while not self._stop.wait(WATCH_SECONDS):
            for name, slot in self.slots.items():
                slot.not_here = self._bringer.problem(name)
                slot.refresh()
            self.residency.settle(self._stop.is_set)
            if self._catalogue is not None and time.monotonic() >= look_at:
                look_at = time.monotonic() + CATALOGUE_SECONDS
                try:
                    self._catalogue.look()
                except OSError as error:
                    logger.warning("the use cases of the checkout cannot be read: %s", error)

    def _add(self, use_case: UseCase) -> None:
        """Serve a use case that is new, or whose specification is while no version serves."""
        former = self.slots.get(use_case.name)
        slot = self._slot(use_case)
        self.contracts.put(use_case)
        self.slots.put(use_case.name, slot)
        slot.restore()
        if former is not None:
            former.close()

    def _drop(self, name: str) -> None:
        slot = self.slots[name]
        self.contracts.drop(name)
        self.slots.drop(name)
        self._reporter.withdraw(name)
        slot.close()


def _prepare_nothing(_: UseCase) -> None:
    """Stands in where features are looked up by nobody here."""
