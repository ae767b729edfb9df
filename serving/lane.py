"""The lane: one thread that answers everything that waits, in batches, and commits a batch to the log before its answers leave.

While a batch is looked up, scored and committed, the next one gathers; nobody waits on purpose. One request alone is a batch of
one, sixteen at once share one look-up, one call of the model and one fsync. The event loop only reads, validates and sends, so
that a locked online store or a slow disk never stops the health checks.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

from include.data.inference_log import KeyedAnswer, SpoolError
from include.data.log_writer import LogWriter
from include.errors import FeatureStoreError, FlightdeckError
from include.settings import Settings
from include.spec import UseCase
from serving.errors import InvalidError, RequestError, UnanswerableError
from serving.metrics import BATCH_ROWS, LOG_BACKLOG, LOG_DROPPED, PREDICTIONS, STAGE_SECONDS
from serving.models import ModelSlot, ServedModel
from serving.online import OnlineStores, features_unavailable
from serving.policy import OneIsRefusedError
from serving.scoring import Question, Scored, count_flags, score_batch

BATCH_ROW_LIMIT = 512
HOUSEKEEPING_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")

Outcome = tuple["asyncio.Future[bytes]", bytes | None, BaseException | None]


@dataclass(slots=True, eq=False)
class _Job:
    future: asyncio.Future[bytes]
    loop: asyncio.AbstractEventLoop
    question: Question | None
    call: Callable[[Lane], bytes] | None = None


class Lane:
    """Owns the spool, and is the only reader of the online stores."""

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase], slots: Mapping[str, ModelSlot], stores: OnlineStores) -> None:
        self.use_cases = use_cases
        self.slots = slots
        self.stores = stores
        self.log = LogWriter(settings, use_cases)
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="flightdeck-lane", daemon=True)
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
        """Queue a question (from the event loop); the future gets the answer's JSON or a `RequestError`."""
        return self._enqueue(question, None)

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
        job = _Job(loop.create_future(), loop, question, call)
        self._queue.put(job)
        return job.future

    def _run(self) -> None:
        running = True
        while running:
            self._housekeeping()
            try:
                first = self._queue.get(timeout=HOUSEKEEPING_SECONDS)
            except Empty:
                continue
            jobs, running = self._gather(first)
            if jobs:
                self._deliver(jobs[0].loop, self._answer(jobs))
        self.log.close()

    def _gather(self, first: _Job | None) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        rows = 0
        job = first
        while job is not None:
            if not job.future.cancelled():
                jobs.append(job)
                rows += len(job.question.rows) if job.question else 0
            if rows >= BATCH_ROW_LIMIT:
                return jobs, True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _answer(self, jobs: Sequence[_Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        groups: dict[str, list[_Job]] = {}
        for job in jobs:
            if job.question is not None:
                groups.setdefault(job.question.use_case, []).append(job)
            elif job.call is not None:
                outcomes.extend(self._attempt([job], partial(self._called, job.call)))
        for name, group in groups.items():
            outcomes.extend(self._answer_group(name, group))
        return outcomes

    def _answer_group(self, name: str, group: list[_Job]) -> list[Outcome]:
        """All together; if that fails for a reason that may lie in one of them, each alone, so that only that one fails."""
        outcomes = self._attempt(group, partial(self._predict, name, group))
        error = outcomes[0][2]
        if error is None or isinstance(error, RequestError) or len(group) == 1:
            return outcomes
        return [outcome for job in group for outcome in self._attempt([job], partial(self._predict, name, [job]))]

    def _called(self, function: Callable[[Lane], bytes]) -> list[bytes]:
        return [function(self)]

    def _attempt(self, jobs: Sequence[_Job], work: Callable[[], Sequence[bytes | RequestError]]) -> list[Outcome]:
        try:
            return [_outcome(job, answer) for job, answer in zip(jobs, work(), strict=True)]
        except RequestError as error:
            return [(job.future, None, error) for job in jobs]
        except OneIsRefusedError as error:
            return [(job.future, None, error) for job in jobs]
        except Exception as error:  # the lane must outlive every request
            logger.exception("a batch of %d requests failed", len(jobs))
            return [(job.future, None, error) for job in jobs]

    def _predict(self, name: str, jobs: Sequence[_Job]) -> Sequence[bytes | RequestError]:
        questions = [job.question for job in jobs if job.question is not None]
        served, features = self.model(name), self.stores.get(name)
        try:
            scored = score_batch(self.use_cases[name], served, features, questions)
        except (FeatureStoreError, sqlite3.Error) as error:
            raise features_unavailable(str(error)) from error
        return self._log(name, served, questions, scored)

    def _log(self, name: str, served: ServedModel, questions: Sequence[Question], scored: Scored) -> Sequence[bytes | RequestError]:
        """Make the batch durable; its answers, with those that a request's own id has got before in their place."""
        started = time.perf_counter()
        keyed = keyed_answers(questions, scored)
        try:
            repeated = self.log.append(name, scored.log_rows, list(keyed.values()))
        except SpoolError as error:
            raise _log_unavailable(error) from error
        STAGE_SECONDS.labels(name, "log").observe(time.perf_counter() - started)
        PREDICTIONS.labels(name, str(served.version)).inc(len(scored.log_rows))
        BATCH_ROWS.labels(name).observe(len(scored.log_rows))
        count_flags(name, scored.flags)
        if not repeated:
            return scored.answers
        answers: list[bytes | RequestError] = list(scored.answers)
        for position, number in enumerate(keyed):
            if position in repeated:
                answers[number] = repeated[position] or _key_reused(questions[number])
        return answers

    def _deliver(self, loop: asyncio.AbstractEventLoop, outcomes: list[Outcome]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, outcomes)

    def _housekeeping(self) -> None:
        if time.monotonic() < self._next_housekeeping:
            return
        self._next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
        try:
            for name in self.use_cases:
                LOG_DROPPED.labels(name).set(self.log.dropped.get(name, 0))
            self.log.tend()
            for name in self.use_cases:
                LOG_BACKLOG.labels(name).set(self.log.backlog(name))
        except Exception:
            logger.exception("the inference log does not take rows")


def keyed_answers(questions: Sequence[Question], scored: Scored) -> dict[int, KeyedAnswer]:
    """The answers of requests that carry an id of their own, by the question's position."""
    keyed: dict[int, KeyedAnswer] = {}
    first = 0
    for number, question in enumerate(questions):
        last = first + len(question.rows)
        if question.key is not None:
            identifiers = tuple(row.prediction_id for row in scored.log_rows[first:last])
            keyed[number] = KeyedAnswer(question.use_case, question.key, question.fingerprint, scored.answers[number], identifiers)
        first = last
    return keyed


def _outcome(job: _Job, answer: bytes | RequestError) -> Outcome:
    return (job.future, None, answer) if isinstance(answer, RequestError) else (job.future, answer, None)


def _key_reused(question: Question) -> RequestError:
    message = f"The request id {question.key!r} has been used for another request; give every new request an id of its own."
    return InvalidError(422, "request_id_reused", message, "x-request-id")


def _log_unavailable(error: FlightdeckError) -> UnanswerableError:
    return UnanswerableError(503, "log_unavailable", f"Nothing is answered that cannot be logged. {error}")


def _resolve(outcomes: list[Outcome]) -> None:
    for future, answer, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        elif answer is not None:
            future.set_result(answer)
