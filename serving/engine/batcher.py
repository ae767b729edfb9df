"""The lane: scores what waits in batches, and sees to it that a batch is in the log before its
answers leave.

Few rows are looked up, scored and made into answers by the event loop itself: that takes less time
than handing them to another thread. It scores when its turns bring nothing new any more, at the
latest after `GATHER_SECONDS`, so all that callers have sent at the same time is one look-up, one
call of the model and one commit, and a lone caller does not wait. The committer writes to the
journal. What would keep the loop (very many rows, long explanations, an online store over a network
or one that is locked) is answered by a thread, and so is what goes to the spool: requests that
carry an id of their own, and feedback. Neither a locked store nor a slow disk stops the health
checks.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from include.errors import FeatureStoreError
from include.inference_log.log import SpoolError
from include.inference_log.writer import LogWriter
from include.settings import Settings
from include.spec import UseCase
from serving.contract.errors import RequestError, UnanswerableError
from serving.contract.metrics import LOG_BACKLOG, LOG_DROPPED, count_rows, stage
from serving.engine.committer import Committer
from serving.engine.pending import (
    Batch,
    Gathered,
    Job,
    Outcome,
    key_reused,
    keyed_answers,
    log_unavailable,
    outcome_of,
    resolve,
)
from serving.engine.resources import ResourceMeter
from serving.models.slots import ModelSlot, ServedModel
from serving.scoring.batch import Question, count_flags, score_batch
from serving.scoring.explaining import is_explainable
from serving.scoring.online_stores import OnlineStores, features_unavailable

BATCH_ROW_LIMIT = 512
LOOP_ROWS = 128
GATHERED_ROWS = 256
GATHER_SECONDS = 0.001
QUIET_TURNS = 2
"""A request that has arrived in one turn of the loop is read in the next one and here in the one
after that.
"""

EXPLAIN_SECONDS = 0.002
"""The most that the event loop spends on the reasons of one batch; what takes longer is for the
thread.
"""

HOUSEKEEPING_SECONDS = 1.0

_Item = Job | Batch | Callable[[], None] | None
"""What the thread takes: a question or a call, what is scored already, something to do, or the end.
"""

logger = logging.getLogger("flightdeck.serving")


class Lane:
    """Owns the log.

    Use `put` and `call` from one event loop, `call`'s functions in the thread only.
    """

    def __init__(
        self,
        settings: Settings,
        use_cases: Mapping[str, UseCase],
        slots: Mapping[str, ModelSlot],
        stores: OnlineStores,
    ) -> None:
        self.use_cases = use_cases
        self.slots = slots
        self.stores = stores
        self.log = LogWriter(settings, use_cases)
        self._committer = Committer(self.log, self._request_room)
        self._room_requested = False
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._gathering: list[Job] = []
        self._gathered = Gathered(0.0)
        self._thread = threading.Thread(target=self._run, name="flightdeck-lane", daemon=True)
        self._meter = ResourceMeter()
        self._next_housekeeping = 0.0

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def log_error(self) -> str | None:
        """Why the inference log takes no rows, or None."""
        return self.log.error

    def start(self) -> None:
        """Begin answering."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10.0)

    def put(self, question: Question) -> asyncio.Future[bytes]:
        """Answer a question (from the event loop); the future gets the answer's JSON or a
        `RequestError`.
        """
        if not self._gathering:
            self._gathered = Gathered(time.perf_counter() + GATHER_SECONDS)
        if not self._is_quick(question):
            return self._enqueue(question, None)
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, question)
        if not self._gathering:
            loop.call_soon(self._turn, loop)
        self._gathering.append(job)
        self._gathered.rows += len(question.rows)
        return job.future

    def _is_quick(self, question: Question) -> bool:
        """Whether the event loop may answer it, with what it has gathered already."""
        if len(question.rows) > LOOP_ROWS or self.stores.blocks(question.use_case):
            return False
        if not question.explain:
            return True
        served = self.slots[question.use_case].serving
        if served is None or not is_explainable(served.model):
            return False
        spent = self._gathered.explaining + len(question.rows) * served.scorer.explain_seconds
        if spent > EXPLAIN_SECONDS:
            return False
        self._gathered.explaining = spent
        return True

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a turn of the loop while there is something to score: go on gathering as long as the
        turns bring more.
        """
        gathered = self._gathered
        gathered.quiet_turns = (
            0 if gathered.rows > gathered.rows_before else gathered.quiet_turns + 1
        )
        gathered.rows_before = gathered.rows
        if (
            gathered.quiet_turns < QUIET_TURNS
            and gathered.rows < GATHERED_ROWS
            and time.perf_counter() < gathered.until
        ):
            loop.call_soon(self._turn, loop)
        else:
            self._score_gathered()

    def call(self, function: Callable[[Lane], bytes]) -> asyncio.Future[bytes]:
        """Run a function in the lane's thread, between two batches."""
        return self._enqueue(None, function)

    def model(self, use_case: str) -> ServedModel:
        """The model that serves now; raises `UnanswerableError` when there is none."""
        served = self.slots[use_case].serving
        if served is None:
            raise UnanswerableError(
                503,
                "no_model",
                f"No model of {use_case} is in service yet; see GET /v1/models.",
                "use_case",
            )
        return served

    def _enqueue(
        self, question: Question | None, call: Callable[[Lane], bytes] | None
    ) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, question, call)
        self._queue.put(job)
        return job.future

    def _score_gathered(self) -> None:
        """In the event loop: score and log what the last turns have brought."""
        jobs, self._gathering = self._gathering, []
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            if job.question is not None and not job.future.done():
                groups.setdefault(job.question.use_case, []).append(job)
        for name, group in groups.items():
            self._score_now(name, group)

    def _score_now(self, name: str, jobs: list[Job]) -> None:
        questions = [job.question for job in jobs if job.question is not None]
        try:
            scored = score_batch(
                self.use_cases[name], self.model(name), self.stores.get(name), questions, wait=False
            )
        except RequestError as error:
            resolve([(job.future, None, error) for job in jobs])
        except (
            Exception
        ):  # the thread may wait, tells apart which of them is at fault, and says what it was
            logger.debug("%d requests go to the lane's thread", len(jobs), exc_info=True)
            for job in jobs:
                self._queue.put(job)
        else:
            batch = Batch(jobs, questions, scored)
            if _is_keyed(batch):
                self._queue.put(batch)
            else:
                self._committer.add(name, [batch])

    def _request_room(self) -> None:
        if not self._room_requested and self.log.error is None:
            self._room_requested = True
            self._queue.put(self._make_room)

    def _make_room(self) -> None:
        self._room_requested = False
        try:
            self.log.make_room()
        except SpoolError:
            logger.exception("the inference log's journal finds no room for its next segment")

    def _run(self) -> None:
        running = True
        while running:
            self._housekeeping()
            try:
                first = self._queue.get(timeout=HOUSEKEEPING_SECONDS)
            except Empty:
                continue
            jobs, batches, running = self._gather(first)
            for batch in batches:
                self._deliver(batch.jobs, self._attempt(batch.jobs, partial(self._log, batch)))
            if jobs:
                self._answer(jobs)
        self.log.close()

    def _gather(self, first: _Item) -> tuple[list[Job], list[Batch], bool]:
        """What waits, up to a limit, and whether there is more to come ever."""
        jobs: list[Job] = []
        batches: list[Batch] = []
        rows = 0
        item = first
        while item is not None:
            if isinstance(item, Batch):
                batches.append(item)
                rows += len(item.scored.log_rows)
            elif not isinstance(item, Job):
                item()
            elif not item.future.cancelled():
                jobs.append(item)
                rows += len(item.question.rows) if item.question else 0
            if rows >= BATCH_ROW_LIMIT:
                return jobs, batches, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return jobs, batches, True
        return jobs, batches, False

    def _answer(self, jobs: Sequence[Job]) -> None:
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            if job.question is not None:
                groups.setdefault(job.question.use_case, []).append(job)
            elif job.call is not None:
                self._deliver([job], self._attempt([job], partial(self._called, job.call)))
        for name, group in groups.items():
            self._answer_group(name, group)

    def _answer_group(self, name: str, group: list[Job]) -> None:
        """All together; if that fails for a reason that may lie in one of them, each alone, so that
        only that one fails.
        """
        try:
            batch = self._predict(name, group)
        except RequestError as error:
            if error.code == "not_explainable" and len(group) > 1:  # that of some, not of all
                for job in group:
                    self._answer_group(name, [job])
                return
            self._deliver(group, [(job.future, None, error) for job in group])
        except Exception as error:  # the lane must outlive every request
            if len(group) > 1:
                for job in group:
                    self._answer_group(name, [job])
                return
            logger.exception("a request of %s failed", name)
            self._deliver(group, [(group[0].future, None, error)])
        else:
            self._record(name, batch)

    def _record(self, name: str, batch: Batch) -> None:
        loop = batch.jobs[0].loop
        if _is_keyed(batch):
            self._deliver(batch.jobs, self._attempt(batch.jobs, partial(self._log, batch)))
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._committer.add, name, [batch])

    def _called(self, function: Callable[[Lane], bytes]) -> list[bytes]:
        return [function(self)]

    def _attempt(
        self, jobs: Sequence[Job], work: Callable[[], Sequence[bytes | RequestError]]
    ) -> list[Outcome]:
        try:
            return [outcome_of(job, answer) for job, answer in zip(jobs, work(), strict=True)]
        except RequestError as error:
            return [(job.future, None, error) for job in jobs]
        except Exception as error:  # the lane must outlive every request
            logger.exception("a batch of %d requests failed", len(jobs))
            return [(job.future, None, error) for job in jobs]

    def _predict(self, name: str, jobs: list[Job]) -> Batch:
        questions = [job.question for job in jobs if job.question is not None]
        served, features = self.model(name), self.stores.get(name)
        try:
            return Batch(
                jobs, questions, score_batch(self.use_cases[name], served, features, questions)
            )
        except (FeatureStoreError, sqlite3.Error) as error:
            raise features_unavailable(str(error)) from error

    def _log(self, batch: Batch) -> Sequence[bytes | RequestError]:
        """Write a batch with ids of its own to the spool; its answers, with those that an id has
        got before in their place.
        """
        name, questions, scored = batch.questions[0].use_case, batch.questions, batch.scored
        started = time.perf_counter()
        keyed = keyed_answers(questions, scored)
        try:
            repeated = self.log.append(name, scored.log_rows, list(keyed.values()))
        except SpoolError as error:
            raise log_unavailable(error) from error
        stage(name, "log").observe(time.perf_counter() - started)
        count_rows(name, [row.model_version for row in scored.log_rows])
        count_flags(name, scored.flags)
        if not repeated:
            return scored.answers
        answers: list[bytes | RequestError] = list(scored.answers)
        for position, number in enumerate(keyed):
            if position in repeated:
                answers[number] = repeated[position] or key_reused(questions[number])
        return answers

    def _deliver(self, jobs: Sequence[Job], outcomes: list[Outcome]) -> None:
        loop = jobs[0].loop
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, outcomes)

    def _housekeeping(self) -> None:
        if time.monotonic() < self._next_housekeeping:
            return
        self._next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
        try:
            self._meter.count()
            for name in self.use_cases:
                LOG_DROPPED.labels(name).set(self.log.dropped.get(name, 0))
            self.log.tend()
            for name in self.use_cases:
                LOG_BACKLOG.labels(name).set(self.log.backlog(name))
        except Exception:
            logger.exception("the inference log does not take rows")


def _is_keyed(batch: Batch) -> bool:
    return any(question.key is not None for question in batch.questions)
