"""The batcher scores requests in batches, and no answer leaves before its rows are in the log.

The path of a request:

 1. `serving.http.protocol` reads it from the socket and `serving.http.application` finds its route,
    `serving.http.predicting`. (Or it comes by `serving.http.inference_protocol`, by
    `serving.grpc.server`, or as an event by `serving.stream.consumer`.)
 2. `serving.contract.body` reads the document; `serving.contract.schema` checks it against the use
    case; `serving.contract.request_id` finds the caller's own id. The three make it a
    `serving.contract.question`.
 3. `serving.engine.runtime` admits it, or refuses when too many are being answered, and
    `serving.engine.deadlines` sets its time.
 4. Here `Batcher.put` gathers it with the others that have come at the same moment, as
    `serving.engine.pending`, or hands it to the thread of `serving.engine.worker`.
 5. `serving.router.router` picks the arm that answers, a version that `serving.models.slots` holds;
    where there are several, `serving.router.splitter` picks one for each row.
 6. `serving.scoring.batch` answers all of one use case: `serving.scoring.lookup` reads the features
    from `serving.scoring.online_stores`, `serving.scoring.policy` refuses rows without them,
    `serving.scoring.parts` has each arm's rows transformed and scored by `serving.scoring.scorer`
    and explained by `serving.scoring.explaining`, or by the champion where the arm fails.
 7. `serving.engine.committer` makes the rows durable, in the background by
    `serving.engine.syncing` where the disk is slow; the worker does so for requests with an id of
    their own.
 8. `serving.engine.pending` resolves the requests, and `serving.http.answering` sends the answers.
    Where a plan has a shadow, `serving.models.shadow` gets what was answered then.

Few rows are looked up, scored and made into answers by the event loop itself: that takes less time
than handing them to another thread. It scores when its turns bring nothing new any more, at the
latest after `GATHER_SECONDS`, so all that callers have sent at the same time is one look-up, one
call of the model and one commit, and a lone caller does not wait. What would keep the loop (very
many rows, long explanations, an online store over a network or one that is locked) is answered by
the worker's thread. Neither a locked store nor a slow disk stops the health checks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from include.inference_log.writer import LogWriter
from include.settings import Settings
from include.spec import UseCase
from serving.contract.errors import RequestError
from serving.contract.question import Question
from serving.engine.committer import Committer
from serving.engine.counting import Mirror, mirror_nothing
from serving.engine.pending import Batch, Gathered, Group, Job, group_by_use_case, resolve
from serving.engine.worker import Worker
from serving.router.router import Router
from serving.scoring.arm import Picked
from serving.scoring.batch import score_batch
from serving.scoring.explaining import is_explainable
from serving.scoring.online_stores import OnlineStores

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

logger = logging.getLogger("flightdeck.serving")


class Batcher:
    """Owns the log and the thread. Use `put` and `call` from one event loop."""

    def __init__(
        self,
        settings: Settings,
        use_cases: Mapping[str, UseCase],
        router: Router,
        stores: OnlineStores,
        mirror: Mirror = mirror_nothing,
    ) -> None:
        """`mirror` gets every batch whose answers have left."""
        self.log = LogWriter(settings, use_cases)
        self._use_cases = use_cases
        self._router = router
        self._stores = stores
        self._worker = Worker(use_cases, router, stores, self.log, self._commit, mirror)
        self._committer = Committer(self.log, self._worker.request_room, mirror)
        self._gathering: list[Job] = []
        self._gathered = Gathered(0.0)

    @property
    def alive(self) -> bool:
        """Say whether the thread runs."""
        return self._worker.alive

    @property
    def log_error(self) -> str | None:
        """Say why the inference log takes no rows, or None."""
        return self.log.error

    def start(self) -> None:
        """Begin answering."""
        self._worker.start()

    def stop(self) -> None:
        """Answer what is pending, then end."""
        self._worker.stop()

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

    def call(self, function: Callable[[], bytes]) -> asyncio.Future[bytes]:
        """Run a function in the batcher's thread, between two batches."""
        return self._enqueue(None, function)

    def _enqueue(
        self, question: Question | None, call: Callable[[], bytes] | None
    ) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, question, call)
        self._worker.submit(job)
        return job.future

    def _is_quick(self, question: Question) -> bool:
        """Say whether the event loop may answer it, with what it has gathered already."""
        if len(question.rows) > LOOP_ROWS or self._stores.blocks(question.use_case):
            return False
        if not question.explain:
            return True
        try:
            picked = self._router.pick(question)
        except RequestError:  # the thread finds that too, and answers with it
            return False
        seconds = _seconds_to_explain(picked, len(question.rows))
        if seconds is None:
            return False
        spent = self._gathered.explaining + seconds
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

    def _score_gathered(self) -> None:
        """Score and log in the event loop what the last turns have brought."""
        jobs, self._gathering = self._gathering, []
        groups, refused = group_by_use_case(
            self._router, [job for job in jobs if not job.future.done()]
        )
        resolve(refused)
        for group in groups:
            self._score_now(group)

    def _score_now(self, group: Group) -> None:
        name, jobs, questions = group.use_case, group.jobs, group.questions()
        picked = group.picked()
        try:
            scored = score_batch(
                self._use_cases[name], picked, self._stores.get(name), questions, wait=False
            )
        except RequestError as error:
            resolve([(job.future, None, error) for job in jobs])
        except (
            Exception
        ):  # the thread may wait, tells apart which of them is at fault, and says what it was
            logger.debug("%d requests go to the batcher's thread", len(jobs), exc_info=True)
            for job in jobs:
                self._worker.submit(job)
        else:
            batch = Batch(jobs, questions, scored, picked)
            if batch.is_keyed():
                self._worker.submit(batch)
            else:
                self._commit(name, [batch])

    def _commit(self, name: str, batches: Sequence[Batch]) -> None:
        self._committer.add(name, batches)


def _seconds_to_explain(picked: Picked, rows: int) -> float | None:
    """What the reasons of a request take; None where one of its arms gives none."""
    arms = picked if isinstance(picked, list) else [picked] * rows
    models = [arm.model for arm in arms]
    if not all(is_explainable(served.model) for served in models):
        return None
    return sum(served.scorer.explain_seconds for served in models)
