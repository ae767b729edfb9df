"""The runtime stands behind the routes: the use cases' schemas, the models, the router, the
batcher, and the answer to "are you ready?".
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from include.catalogue import load_valid
from include.settings import Settings
from include.spec import UseCase
from serving.contract.answers import LogStatus, ModelsAnswer
from serving.contract.errors import NotLoadedError, RequestError, UnanswerableError
from serving.contract.metrics import stage
from serving.contract.question import Question
from serving.contract.schema import RequestSchema
from serving.engine.batcher import Batcher
from serving.engine.deadlines import Deadlines
from serving.models.status import status_of
from serving.models.watcher import ModelWatcher
from serving.router.router import PlanRouter
from serving.scoring.golden_check import check_served
from serving.scoring.online_stores import OnlineStores

ANSWER_SECONDS = 10.0
IN_FLIGHT_LIMIT = 256
WAITING_LIMIT = 256
"""Requests that wait for models to be loaded, beside those in flight."""
SCORING_SECONDS = 1.0
"""Of `ANSWER_SECONDS`, what is left for the answer when a model has been waited for."""
# Two busy threads: at Python's 5 ms each hand-over of the interpreter would be longer than a whole
# answer.
SWITCH_SECONDS = 0.0005

logger = logging.getLogger("flightdeck.serving")


class Runtime:
    """What answers in a serving process; started once. It serves this checkout's use cases, and
    follows what is added and removed, unless others are given.
    """

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase] | None = None) -> None:
        served = _catalogue() if use_cases is None else use_cases
        self.watcher = ModelWatcher(settings, served, follows=use_cases is None)
        self.use_cases = self.watcher.contracts.use_cases
        self.schemas = self.watcher.contracts.schemas
        self.feedback_schemas = self.watcher.contracts.feedback
        self.stores = OnlineStores(settings, self.use_cases)
        self.watcher.prepare = self.stores.prepare
        self.batcher = Batcher(
            settings,
            self.use_cases,
            PlanRouter(self.watcher.slots),
            self.stores,
            self.watcher.mirror,
        )
        self._in_flight = self._waiting = 0
        self._deadlines: Deadlines[bytes] = Deadlines(ANSWER_SECONDS, _too_late)

    def start(self) -> None:
        """Load models and open the stores, in the background."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self.watcher.start()
        self.stores.start()
        self.batcher.start()

    def wait_opened(self, seconds: float) -> None:
        """Wait until models and stores were tried once, whatever came of it, or the time is up."""
        until = time.monotonic() + seconds
        opened = self.watcher.wait_restored(seconds) and self.stores.wait_tried(
            max(until - time.monotonic(), 0.0)
        )
        if not opened:
            logger.warning(
                "models and online stores are still being opened after %g s; requests are taken"
                " from now on",
                seconds,
            )

    def stop(self) -> None:
        """Answer what is pending, then close everything."""
        self.watcher.stop()
        self.stores.stop()
        self.batcher.stop()

    def alive(self) -> bool:
        """Say whether the batcher and the watcher still run; a process that lost one of them must
        be replaced.
        """
        return self.batcher.alive and self.watcher.alive

    def not_ready(self) -> str | None:
        """Say why nothing can be predicted now; `None` when it can for at least one use case."""
        if self.batcher.log.refuses():
            return f"log: {self.batcher.log_error}"
        if not any(
            slot.answers and self.stores.is_open(name) for name, slot in self.watcher.slots.items()
        ):
            reasons = "".join(f"; {text}" for text in self._problems())
            return f"no use case has both a model and an online store that can be read{reasons}"
        return None

    def _problems(self) -> list[str]:
        """What keeps each use case from answering, where it is more than that nothing was released
        yet.
        """
        problems = []
        for name, slot in self.watcher.slots.items():
            reason = slot.problem or (slot.in_service and self.stores.error(name))
            if reason:
                problems.append(f"{name}: {reason}")
        return problems

    async def answer(self, question: Question) -> bytes:
        """Return the answer to a validated question as JSON; raise `RequestError`."""
        try:
            answer = await self._in_time(lambda: self.batcher.put(question))
        except NotLoadedError:
            answer = await self._once_loaded(question.use_case, lambda: self.batcher.put(question))
        stage(question.use_case, "total").observe(time.perf_counter() - question.arrived)
        return answer

    def schema(self, name: str) -> RequestSchema:
        """Return the request schema of a use case; raise `UnanswerableError` (404) listing the
        served ones.
        """
        if name not in self.schemas:
            raise UnanswerableError(
                404,
                "unknown_use_case",
                f"There is no use case {name!r} here.",
                "use_case",
                sorted(self.schemas),
            )
        return self.schemas[name]

    async def check(self, name: str) -> bytes:
        """Score the served model's golden rows and look their keys up, in the batcher's thread and
        without logging.
        """
        schema = self.schema(name)
        slot = self.watcher.slots[name]

        def checked() -> bytes:
            return check_served(schema, slot.served(), self.stores.get(name))

        try:
            return await self.call(checked)
        except NotLoadedError:
            return await self._once_loaded(name, lambda: self.batcher.call(checked))

    async def call(self, function: Callable[[], bytes]) -> bytes:
        """Return what a function gives that runs in the batcher's thread, within the limits; raise
        `RequestError`.
        """
        return await self._in_time(lambda: self.batcher.call(function))

    async def _in_time(self, start: Callable[[], asyncio.Future[bytes]]) -> bytes:
        if self._in_flight >= IN_FLIGHT_LIMIT:
            raise UnanswerableError(
                429,
                "too_many_requests",
                f"{IN_FLIGHT_LIMIT} requests are being answered already; try again shortly.",
                retry_after=1,
            )
        self._in_flight += 1
        future = start()
        self._deadlines.watch(future)
        try:
            return await future
        finally:
            self._in_flight -= 1

    async def _once_loaded(
        self, use_case: str, start: Callable[[], asyncio.Future[bytes]]
    ) -> bytes:
        """Answer when the model is loaded, within `ANSWER_SECONDS`; raises `NotLoadedError` where
        that takes longer: it goes on, for whoever asks next.

        Who waits here takes no place of those that can be answered at once.
        """
        if self._waiting >= WAITING_LIMIT:
            raise NotLoadedError(use_case)
        self._waiting += 1
        until = asyncio.get_running_loop().time() + ANSWER_SECONDS
        try:
            while True:
                await self._loaded(use_case, until)
                with suppress(NotLoadedError):  # let go again, as others were asked
                    return await asyncio.wait_for(
                        self._in_time(start), until - asyncio.get_running_loop().time()
                    )
        except TimeoutError as error:
            raise _too_late() from error
        finally:
            self._waiting -= 1

    async def _loaded(self, use_case: str, until: float) -> None:
        """Wait for a model; raise `NotLoadedError` when the time is up."""
        loading = asyncio.wrap_future(self.watcher.residency.load(use_case))
        loading.add_done_callback(_look)  # who waits may be gone by then
        left = until - asyncio.get_running_loop().time() - SCORING_SECONDS
        done, _ = await asyncio.wait([loading], timeout=max(left, 0.0))
        if not done:
            raise NotLoadedError(use_case)
        loading.result()

    def models(self) -> ModelsAnswer:
        """Return what serves and what should."""
        statuses = [
            status_of(slot, features_ready=self.stores.is_open(name))
            for name, slot in self.watcher.slots.items()
        ]
        error = self.batcher.log_error
        return ModelsAnswer(
            models=statuses,
            log=LogStatus(
                writable=error is None,
                error=error,
                dropped_rows=dict(self.batcher.log.dropped),
                damaged_rows=dict(self.batcher.log.damaged),
            ),
        )


def _look(loading: asyncio.Future[None]) -> None:
    """Look at an outcome, so that asyncio does not report one that nobody waited for."""
    if not loading.cancelled():
        loading.exception()


def _too_late() -> RequestError:
    return UnanswerableError(504, "timeout", f"No answer within {ANSWER_SECONDS:g} seconds.")


class RuntimeHolder:
    """Gives the routes the runtime, which only exists once the serving process has started."""

    runtime: Runtime | None = None

    def get(self) -> Runtime:
        """Return the runtime; raise `UnanswerableError` while the process is starting."""
        if self.runtime is None:
            raise UnanswerableError(503, "starting", "The endpoint is starting.")
        return self.runtime


def _catalogue() -> dict[str, UseCase]:
    """This checkout's use cases: one that cannot be loaded stops no other."""
    valid, refused = load_valid()
    for name, reason in refused.items():
        logger.error("The use case %s is not served: %s", name, reason)
    return valid
