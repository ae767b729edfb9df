"""The lane: scores what waits in batches, and commits a batch to the log before its answers leave.

Few rows are looked up, scored and made into answers by the event loop itself, all requests of one turn of the loop together: that
takes less time than handing them to another thread. One thread owns the log: it commits every batch that has been scored meanwhile in
one transaction and wakes the loop once for all their answers. So while one batch is being written, the next one gathers and is scored;
nobody waits on purpose. What would keep the loop (many rows, explanations, an online store that somebody has locked) is answered by
the thread, between two commits: neither a locked store nor a slow disk stops the health checks.
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

from include.data.inference_log import SpoolError
from include.data.log_writer import LogWriter
from include.errors import FeatureStoreError
from include.settings import Settings
from include.spec import UseCase
from serving.errors import RequestError, UnanswerableError
from serving.metrics import LOG_BACKLOG, LOG_DROPPED, count_rows, stage
from serving.models import ModelSlot, ServedModel
from serving.online import OnlineStores, features_unavailable
from serving.policy import OneIsRefusedError
from serving.resources import ResourceMeter
from serving.scoring import Question, Scored, count_flags, score_batch
from serving.waiting import Batch, Job, Outcome, joined, key_reused, keyed_answers, log_unavailable, outcome_of, resolve

BATCH_ROW_LIMIT = 512
LOOP_ROWS = 32
HOUSEKEEPING_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")


class Lane:
    """Owns the log. Use `put` and `call` from one event loop."""

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase], slots: Mapping[str, ModelSlot], stores: OnlineStores) -> None:
        self.use_cases = use_cases
        self.slots = slots
        self.stores = stores
        self.log = LogWriter(settings, use_cases)
        self._queue: SimpleQueue[Job | Batch | None] = SimpleQueue()
        self._gathering: list[Job] = []
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
        """Answer a question (from the event loop); the future gets the answer's JSON or a `RequestError`."""
        if question.explain or len(question.rows) > LOOP_ROWS:
            return self._enqueue(question, None)
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, question)
        if not self._gathering:
            loop.call_soon(self._score_gathered)
        self._gathering.append(job)
        return job.future

    def call(self, function: Callable[[Lane], bytes]) -> asyncio.Future[bytes]:
        """Run a function in the lane's thread, between two batches."""
        return self._enqueue(None, function)

    def model(self, use_case: str) -> ServedModel:
        """The model that serves now; raises `UnanswerableError` when there is none."""
        served = self.slots[use_case].serving
        if served is None:
            raise UnanswerableError(503, "no_model", f"No model of {use_case} is in service yet; see GET /v1/models.", "use_case")
        return served

    def _enqueue(self, question: Question | None, call: Callable[[Lane], bytes] | None) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, question, call)
        self._queue.put(job)
        return job.future

    def _score_gathered(self) -> None:
        """In the event loop: score what this turn has brought."""
        jobs, self._gathering = self._gathering, []
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            if job.question is not None and not job.future.done():
                groups.setdefault(job.question.use_case, []).append(job)
        for name, group in groups.items():
            for start in range(0, len(group), LOOP_ROWS):
                self._score_now(name, group[start : start + LOOP_ROWS])

    def _score_now(self, name: str, jobs: list[Job]) -> None:
        questions = [job.question for job in jobs if job.question is not None]
        try:
            scored = score_batch(self.use_cases[name], self.model(name), self.stores.get(name), questions, wait=False)
        except RequestError as error:
            resolve([(job.future, None, error) for job in jobs])
        except Exception:  # the thread may wait, tells apart which of them is at fault, and says what it was
            logger.debug("%d requests go to the lane's thread", len(jobs), exc_info=True)
            for job in jobs:
                self._queue.put(job)
        else:
            self._queue.put(Batch(jobs, questions, scored))

    def _run(self) -> None:
        running = True
        while running:
            self._housekeeping()
            try:
                first = self._queue.get(timeout=HOUSEKEEPING_SECONDS)
            except Empty:
                continue
            jobs, batches, running = self._gather(first)
            if batches:
                self._deliver(batches[0].jobs[0].loop, self._commit(batches))
            if jobs:
                self._deliver(jobs[0].loop, self._answer(jobs))
        self.log.close()

    def _gather(self, first: Job | Batch | None) -> tuple[list[Job], list[Batch], bool]:
        """What waits, up to a limit, and whether there is more to come ever."""
        jobs: list[Job] = []
        batches: list[Batch] = []
        rows = 0
        item = first
        while item is not None:
            if isinstance(item, Batch):
                batches.append(item)
                rows += len(item.scored.log_rows)
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

    def _commit(self, batches: Sequence[Batch]) -> list[Outcome]:
        """One transaction per use case."""
        outcomes: list[Outcome] = []
        for name in dict.fromkeys(batch.questions[0].use_case for batch in batches):
            of_case = [batch for batch in batches if batch.questions[0].use_case == name]
            jobs = [job for batch in of_case for job in batch.jobs]
            outcomes.extend(self._attempt(jobs, partial(self._log_batches, name, of_case)))
        return outcomes

    def _log_batches(self, name: str, batches: Sequence[Batch]) -> Sequence[bytes | RequestError]:
        return self._log(name, [question for batch in batches for question in batch.questions], joined([batch.scored for batch in batches]))

    def _answer(self, jobs: Sequence[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            if job.question is not None:
                groups.setdefault(job.question.use_case, []).append(job)
            elif job.call is not None:
                outcomes.extend(self._attempt([job], partial(self._called, job.call)))
        for name, group in groups.items():
            outcomes.extend(self._answer_group(name, group))
        return outcomes

    def _answer_group(self, name: str, group: list[Job]) -> list[Outcome]:
        """All together; if that fails for a reason that may lie in one of them, each alone, so that only that one fails."""
        outcomes = self._attempt(group, partial(self._predict, name, group))
        error = outcomes[0][2]
        if error is None or isinstance(error, RequestError) or len(group) == 1:
            return outcomes
        return [outcome for job in group for outcome in self._attempt([job], partial(self._predict, name, [job]))]

    def _called(self, function: Callable[[Lane], bytes]) -> list[bytes]:
        return [function(self)]

    def _attempt(self, jobs: Sequence[Job], work: Callable[[], Sequence[bytes | RequestError]]) -> list[Outcome]:
        try:
            return [outcome_of(job, answer) for job, answer in zip(jobs, work(), strict=True)]
        except RequestError as error:
            return [(job.future, None, error) for job in jobs]
        except OneIsRefusedError as error:
            return [(job.future, None, error) for job in jobs]
        except Exception as error:  # the lane must outlive every request
            logger.exception("a batch of %d requests failed", len(jobs))
            return [(job.future, None, error) for job in jobs]

    def _predict(self, name: str, jobs: Sequence[Job]) -> Sequence[bytes | RequestError]:
        questions = [job.question for job in jobs if job.question is not None]
        served, features = self.model(name), self.stores.get(name)
        try:
            scored = score_batch(self.use_cases[name], served, features, questions)
        except (FeatureStoreError, sqlite3.Error) as error:
            raise features_unavailable(str(error)) from error
        return self._log(name, questions, scored)

    def _log(self, name: str, questions: Sequence[Question], scored: Scored) -> Sequence[bytes | RequestError]:
        """Make the batch durable; its answers, with those that a request's own id has got before in their place."""
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

    def _deliver(self, loop: asyncio.AbstractEventLoop, outcomes: list[Outcome]) -> None:
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
