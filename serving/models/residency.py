"""Which models a process keeps loaded, when it has more than it may.

As long as all fit, all are loaded at the start and stay. Beyond, the others stand by: a model is
loaded when it is first asked for, by a thread of its own, and the one that nobody has asked for
longest is let go. All versions of a rollout, canary or shadow stay, and beside them one model at
least may be loaded. Of many requests for one model all wait for the same load.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import SimpleQueue

from serving.contract.errors import UnanswerableError
from serving.contract.metrics import LOAD_SECONDS, UNLOADED
from serving.models.slots import ModelSlot

LOADERS = 2
"""A model that a child process tries first must not keep all others waiting."""

logger = logging.getLogger("flightdeck.serving")


class Residency:
    """Keeps `most` versions loaded. `settle` in the watching thread, `load` from the event loop."""

    def __init__(self, slots: Mapping[str, ModelSlot], most: int) -> None:
        self._slots = slots
        self._most = most
        self._leaving = threading.Lock()
        self._loading: dict[str, Future[None]] = {}
        self._queue: SimpleQueue[tuple[str, Future[None]] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name="flightdeck-loader", daemon=True)
            for _ in range(LOADERS)
        ]

    @property
    def has_too_many(self) -> bool:
        """Say whether there are more use cases than models may be loaded."""
        return len(self._slots) > self._most

    @property
    def alive(self) -> bool:
        """Say whether its threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Begin loading on demand."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Load nothing more; a load under way ends with the process."""
        for _ in self._threads:
            self._queue.put(None)

    def load(self, use_case: str) -> Future[None]:
        """What is done when the model of a use case is loaded; it raises `UnanswerableError` (503)
        where that failed.
        """
        loading = self._loading.get(use_case)
        if loading is None:
            loading = self._loading[use_case] = Future()
            self._queue.put((use_case, loading))
        return loading

    def settle(self, is_ending: Callable[[], bool]) -> None:
        """Let go of what is too much, load what there is room for, and try one version that never
        was.
        """
        self._make_room()
        standing_by = [slot for slot in tuple(self._slots.values()) if slot.stands_by]
        for slot in standing_by:
            if is_ending() or self._loaded() + len(self._loading) >= self._most:
                break
            slot.wake()
        for slot in standing_by:
            if is_ending() or slot.try_standing():
                break

    def _loaded(self) -> int:
        traffics = [slot.traffic for slot in tuple(self._slots.values())]
        return sum(len(traffic.arms) for traffic in traffics if traffic is not None)

    def _note_requests(self) -> None:
        now = time.monotonic()
        for slot in tuple(self._slots.values()):
            if slot.requested:
                slot.requested, slot.last_requested = False, now

    def _make_room(self) -> None:
        with self._leaving:
            self._note_requests()
            slots = [slot for slot in tuple(self._slots.values()) if slot.may_leave]
            # However many stay, one of the others may be loaded: else none would ever answer.
            excess = len(slots) - max(self._most - (self._loaded() - len(slots)), 1)
            for slot in sorted(slots, key=lambda slot: slot.last_requested):
                if excess > 0 and slot.leave():
                    excess -= 1
                    UNLOADED.labels(slot.use_case.name).inc()
                    logger.info("%s: its model is let go until it is asked", slot.use_case.name)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            use_case, loading = item
            loading.set_running_or_notify_cancel()  # who waits no longer ends it for nobody else
            refusal = self._load(use_case)
            self._loading.pop(use_case, None)
            if refusal is None:
                loading.set_result(None)
                self._make_room()
            else:
                loading.set_exception(refusal)

    def _load(self, use_case: str) -> UnanswerableError | None:
        """Load a model; the refusal where that fails or has failed a moment ago."""
        slot = self._slots.get(use_case)
        if slot is None or not slot.stands_by:
            return None  # the next question finds out
        started = time.perf_counter()
        slot.wake()
        error = slot.load_error
        if error is None:
            LOAD_SECONDS.labels(use_case).observe(time.perf_counter() - started)
            return None
        text = f"The model of {use_case} could not be loaded: {error}"
        wait = max(1, round(slot.load_wait()))
        return UnanswerableError(503, "model_not_loaded", text, "use_case", retry_after=wait)
