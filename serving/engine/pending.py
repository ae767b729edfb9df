"""Requests are pending here, by use case, until their outcomes find their way back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.errors import FlightdeckError
from include.inference_log.log import KeyedAnswer
from serving.contract.errors import InvalidError, RequestError, UnanswerableError
from serving.contract.question import Question
from serving.router.router import Router
from serving.scoring.arm import Arm, Picked
from serving.scoring.batch import Scored

logger = logging.getLogger("flightdeck.serving")

Outcome = tuple["asyncio.Future[bytes]", bytes | None, BaseException | None]


@dataclass(slots=True, eq=False)
class Job:
    """A pending question, or a function that the thread is to call."""

    future: asyncio.Future[bytes]
    loop: asyncio.AbstractEventLoop
    question: Question | None
    call: Callable[[], bytes] | None = None


@dataclass(slots=True, eq=False)
class Batch:
    """Questions that are scored and wait for the commit; `picked` is what was to answer them."""

    jobs: list[Job]
    questions: list[Question]
    scored: Scored
    picked: Picked

    def is_keyed(self) -> bool:
        """Say whether one of them has an id of its own, so that it must go to the spool."""
        return any(question.key is not None for question in self.questions)


@dataclass(slots=True)
class Gathered:
    """What the event loop has gathered: until when (`time.perf_counter()`) it goes on at the
    latest, rows, rows at the turn before, turns that brought nothing, and the seconds that reasons
    will take.
    """

    until: float
    rows: int = 0
    rows_before: int = 0
    quiet_turns: int = 0
    explaining: float = 0.0


@dataclass(slots=True, eq=False)
class Group:
    """Questions of one use case that are scored together; `arms` has what was picked for each."""

    use_case: str
    jobs: list[Job]
    arms: list[Picked]

    def picked(self) -> Picked:
        """Return the one arm that answers all of it, or a list of one for each row."""
        first = self.arms[0]
        if isinstance(first, Arm) and self.arms.count(first) == len(self.arms):
            return first
        rows: list[Arm] = []
        for job, arms in zip(self.jobs, self.arms, strict=True):
            asked = 0 if job.question is None else len(job.question.rows)
            rows += arms if isinstance(arms, list) else [arms] * asked
        return rows

    def each(self) -> list[Group]:
        """Return the questions alone."""
        return [
            Group(self.use_case, [job], [arms])
            for job, arms in zip(self.jobs, self.arms, strict=True)
        ]

    def questions(self) -> list[Question]:
        """Return what is asked."""
        return [job.question for job in self.jobs if job.question is not None]


def group_by_use_case(router: Router, jobs: Sequence[Job]) -> tuple[list[Group], list[Outcome]]:
    """Return the questions among the jobs by use case, with the arms that answer them; and the
    outcomes of those that have none.
    """
    groups: dict[str, Group] = {}
    refused: list[Outcome] = []
    for job in jobs:
        question = job.question
        if question is None:
            continue
        try:
            arms = router.pick(question)
        except RequestError as error:
            refused.append((job.future, None, error))
            continue
        except Exception as error:  # no router may keep the others' answers back
            logger.exception("%s: no arm could be picked", question.use_case)
            refused.append((job.future, None, error))
            continue
        group = groups.get(question.use_case)
        if group is None:
            groups[question.use_case] = Group(question.use_case, [job], [arms])
        else:
            group.jobs.append(job)
            group.arms.append(arms)
    return list(groups.values()), refused


def keyed_answers(questions: Sequence[Question], scored: Scored) -> dict[int, KeyedAnswer]:
    """Return the answers of requests that carry an id of their own, by the question's position."""
    keyed: dict[int, KeyedAnswer] = {}
    first = 0
    for number, question in enumerate(questions):
        last = first + len(question.rows)
        if question.key is not None:
            identifiers = tuple(row.prediction_id for row in scored.log_rows[first:last])
            keyed[number] = KeyedAnswer(
                question.use_case,
                question.key,
                question.fingerprint,
                scored.answers[number],
                identifiers,
            )
        first = last
    return keyed


def outcome_of(job: Job, answer: bytes | RequestError) -> Outcome:
    """Return what a job gets."""
    return (
        (job.future, None, answer)
        if isinstance(answer, RequestError)
        else (job.future, answer, None)
    )


def key_reused(question: Question) -> RequestError:
    """Return the refusal of a request whose id stands for another one."""
    message = (
        f"The request id {question.key!r} has been used for another request; give every new request"
        " an id of its own."
    )
    return InvalidError(409, "request_id_reused", message, "x-request-id")


def log_unavailable(error: FlightdeckError) -> UnanswerableError:
    """Return the answer while nothing can be logged."""
    return UnanswerableError(
        503, "log_unavailable", f"Nothing is answered that cannot be logged. {error}"
    )


def resolve(outcomes: list[Outcome]) -> None:
    """Give every pending request its outcome (in the event loop)."""
    for future, answer, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        elif answer is not None:
            future.set_result(answer)
