"""The worker is the batcher's thread: it answers what would keep the event loop.

It may wait for a store over a network or a locked one, it scores very many rows and long
explanations, and what goes to the spool is written here: requests that carry an id of their own,
and feedback. It also keeps the log's house: metrics, space, the next segment of the journal.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from include.errors import FeatureStoreError, FlightdeckError
from include.inference_log.log import SpoolError
from include.inference_log.writer import LogWriter
from include.spec import UseCase
from serving.contract.errors import RequestError
from serving.contract.metrics import (
    LOG_BACKLOG,
    LOG_DAMAGED,
    LOG_DROPPED,
    count_rows,
    flush_tallies,
    stage,
)
from serving.engine.counting import Mirror, count_batch, count_error, mirror_nothing
from serving.engine.pending import (
    Batch,
    Group,
    Job,
    Outcome,
    group_by_use_case,
    key_reused,
    keyed_answers,
    log_unavailable,
    outcome_of,
    resolve,
)
from serving.engine.resources import ResourceMeter
from serving.router.router import Router
from serving.scoring.batch import score_batch
from serving.scoring.online_stores import OnlineStores, features_unavailable

BATCH_ROW_LIMIT = 512
HOUSEKEEPING_SECONDS = 1.0

Item = Job | Batch | Callable[[], None] | None
"""What the thread takes: a question or a call, what is scored already, something to do, or the end.
"""

logger = logging.getLogger("flightdeck.serving")


class Worker:
    """One thread and its queue; `submit` and `request_room` may be called from the event loop.

    `commit` is called in the event loop with what the thread has scored and the journal takes,
    `mirror` with what was answered from here.
    """

    def __init__(
        self,
        use_cases: Mapping[str, UseCase],
        router: Router,
        stores: OnlineStores,
        log: LogWriter,
        commit: Callable[[str, Sequence[Batch]], None],
        mirror: Mirror = mirror_nothing,
    ) -> None:
        self._mirror = mirror
        self._use_cases = use_cases
        self._router = router
        self._stores = stores
        self._writer = log
        self._commit = commit
        self._room_requested = False
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="flightdeck-batcher", daemon=True)
        self._meter = ResourceMeter()
        self._next_housekeeping = 0.0

    @property
    def alive(self) -> bool:
        """Say whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin answering."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is pending, close the log, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10.0)

    def submit(self, item: Job | Batch) -> None:
        """Have the thread answer a job, or write a batch that is scored."""
        self._queue.put(item)

    def request_room(self) -> None:
        """Have the thread make room in the journal, which takes too long for the event loop."""
        if not self._room_requested and self._writer.error is None:
            self._room_requested = True
            self._queue.put(self._make_room)

    def _make_room(self) -> None:
        self._room_requested = False
        try:
            self._writer.make_room()
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
        self._writer.close()

    def _gather(self, first: Item) -> tuple[list[Job], list[Batch], bool]:
        """Take what is pending, up to a limit, and say whether more may ever come."""
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
        for job in jobs:
            if job.call is not None:
                self._deliver([job], self._attempt([job], partial(_called, job.call)))
        groups, refused = group_by_use_case(self._router, jobs)
        if refused:
            self._deliver(jobs, refused)
        for group in groups:
            self._answer_group(group)

    def _answer_group(self, group: Group) -> None:
        """Answer all together; if that fails for a reason that may lie in one of them, each alone,
        so that only that one fails.
        """
        name, jobs = group.use_case, group.jobs
        try:
            batch = self._predict(group)
        except RequestError as error:
            if error.code == "not_explainable" and len(jobs) > 1:  # that of some, not of all
                for one in group.each():
                    self._answer_group(one)
                return
            self._deliver(jobs, [(job.future, None, error) for job in jobs])
        except Exception as error:  # the thread must outlive every request
            if len(jobs) > 1:
                for one in group.each():
                    self._answer_group(one)
                return
            logger.exception("a request of %s failed", name)
            count_error(name, group.picked())
            self._deliver(jobs, [(jobs[0].future, None, error)])
        else:
            self._record(name, batch)

    def _predict(self, group: Group) -> Batch:
        name, questions = group.use_case, group.questions()
        features, picked = self._stores.get(name), group.picked()
        try:
            scored = score_batch(self._use_cases[name], picked, features, questions)
        except (FeatureStoreError, sqlite3.Error) as error:
            raise features_unavailable(str(error)) from error
        return Batch(group.jobs, questions, scored, picked)

    def _record(self, name: str, batch: Batch) -> None:
        loop = batch.jobs[0].loop
        if batch.is_keyed():
            self._deliver(batch.jobs, self._attempt(batch.jobs, partial(self._log, batch)))
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._commit, name, [batch])

    def _log(self, batch: Batch) -> Sequence[bytes | RequestError]:
        """Write a batch with ids of its own to the spool; its answers, with those that an id has
        got before in their place.
        """
        name, questions, scored = batch.questions[0].use_case, batch.questions, batch.scored
        started = time.perf_counter()
        keyed = keyed_answers(questions, scored)
        try:
            repeated = self._writer.append(name, scored.log_rows, list(keyed.values()))
        except SpoolError as error:
            raise log_unavailable(error) from error
        stage(name, "log").observe(time.perf_counter() - started)
        count_rows(name, [row.model_version for row in scored.log_rows])
        count_batch(name, batch)
        self._mirror(name, scored)
        if not repeated:
            return scored.answers
        answers: list[bytes | RequestError] = list(scored.answers)
        for position, number in enumerate(keyed):
            if position in repeated:
                answers[number] = repeated[position] or key_reused(questions[number])
        return answers

    def _attempt(
        self, jobs: Sequence[Job], work: Callable[[], Sequence[bytes | RequestError]]
    ) -> list[Outcome]:
        try:
            return [outcome_of(job, answer) for job, answer in zip(jobs, work(), strict=True)]
        except RequestError as error:
            return [(job.future, None, error) for job in jobs]
        except Exception as error:  # the thread must outlive every request
            logger.exception("a batch of %d requests failed", len(jobs))
            return [(job.future, None, error) for job in jobs]

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
            flush_tallies()
            for name in self._use_cases:
                LOG_DROPPED.labels(name).set(self._writer.dropped.get(name, 0))
                LOG_DAMAGED.labels(name).set(self._writer.damaged.get(name, 0))
            self._writer.tend()
            for name in self._use_cases:
                LOG_BACKLOG.labels(name).set(self._writer.backlog(name))
        except (FlightdeckError, OSError, sqlite3.Error, ValueError):
            logger.exception("the inference log does not take rows")


def _called(function: Callable[[], bytes]) -> list[bytes]:
    return [function()]
