"""What waits in the lane, and how outcomes find their way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import FlightdeckError
from include.inference_log.log import KeyedAnswer
from serving.contract.errors import InvalidError, RequestError, UnanswerableError
from serving.scoring.batch import Question, Scored

if TYPE_CHECKING:
    from serving.engine.batcher import Lane

Outcome = tuple["asyncio.Future[bytes]", bytes | None, BaseException | None]


@dataclass(slots=True, eq=False)
class Job:
    """A question or a call that waits."""

    future: asyncio.Future[bytes]
    loop: asyncio.AbstractEventLoop
    question: Question | None
    call: Callable[[Lane], bytes] | None = None


@dataclass(slots=True, eq=False)
class Batch:
    """Questions that are scored and wait for the commit."""

    jobs: list[Job]
    questions: list[Question]
    scored: Scored


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


def keyed_answers(questions: Sequence[Question], scored: Scored) -> dict[int, KeyedAnswer]:
    """The answers of requests that carry an id of their own, by the question's position."""
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
    """What a job gets."""
    return (
        (job.future, None, answer)
        if isinstance(answer, RequestError)
        else (job.future, answer, None)
    )


def key_reused(question: Question) -> RequestError:
    """The refusal of a request whose id stands for another one."""
    message = (
        f"The request id {question.key!r} has been used for another request; give every new request"
        " an id of its own."
    )
    return InvalidError(409, "request_id_reused", message, "x-request-id")


def log_unavailable(error: FlightdeckError) -> UnanswerableError:
    """The answer while nothing can be logged."""
    return UnanswerableError(
        503, "log_unavailable", f"Nothing is answered that cannot be logged. {error}"
    )


def resolve(outcomes: list[Outcome]) -> None:
    """Give every waiting request its outcome (in the event loop)."""
    for future, answer, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        elif answer is not None:
            future.set_result(answer)
