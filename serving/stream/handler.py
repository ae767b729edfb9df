"""The handler checks an event of a broker, has it answered and logged, publishes the answer, and
only then lets it be acknowledged.

An event is the JSON document of a prediction request with an `event_id`: `{"event_id": "...",
"rows": [...]}`, under the same strict checks. Every event ends in one of four ways:

    answered    its rows are in the inference log, its answer is on the answers' subject
    duplicate   its id was answered before: the same answer, nothing logged again; the broker drops
    the repeated answer set aside   it can never be answered (poison): it is on the dead subject
    with the reason retried     it cannot be answered now (no model, no store, no log, no broker):
    the broker delivers it again

The log keeps the ids of answered events in the same commit as their rows, so a consumer killed at
any moment loses and doubles nothing.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from include.inference_log.rows import EVENT_PREFIX
from serving.contract.body import parse
from serving.contract.errors import InvalidError, RequestError, UnanswerableError, UnreadableError
from serving.contract.question import Question
from serving.contract.schema import RequestSchema

MAX_EVENT_ID = 200
MAX_ATTEMPTS = 5
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
UNREADABLE_STATUS = 500

logger = logging.getLogger("flightdeck.stream")


@dataclass(frozen=True)
class Delivery:
    """One delivery of one message: `number` is its place in the stream, `attempt` counts from 1."""

    body: bytes
    subject: str
    stream: str
    number: int
    attempt: int


class Outbox(Protocol):
    """Where answers and set-aside events go.

    Both return once the broker has stored the message; False for one that it had already.
    """

    async def answer(self, event_id: str, body: bytes) -> bool:
        """Publish an answer."""
        ...

    async def set_aside(self, identifier: str, body: bytes, reason: str) -> bool:
        """Publish an event that cannot be answered."""
        ...


class Answering(Protocol):
    """What answers a question and has it logged: the batcher."""

    def put(self, question: Question) -> Awaitable[bytes]:
        """Return the answer's JSON; raise `RequestError`."""
        ...


@dataclass
class Handler:
    """Decides about deliveries. `counts` are events by outcome."""

    schema: RequestSchema
    batcher: Answering
    outbox: Outbox
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("answered", "duplicate", "set aside", "retried"), 0)
    )

    async def handle(self, delivery: Delivery) -> float | None:
        """Work on a delivery; return None when it may be acknowledged, else the seconds after which
        it should come again.
        """
        try:
            outcome = await self._answer(delivery)
        except UnanswerableError as error:
            return self._again(delivery, error.message)
        except RequestError as error:
            outcome = await self._set_aside(delivery, error)
        except Exception as error:  # what nobody foresaw must not stop the others
            logger.exception("event %d failed at attempt %d", delivery.number, delivery.attempt)
            if delivery.attempt < MAX_ATTEMPTS:
                return self._again(delivery, repr(error))
            outcome = await self._set_aside(delivery, _unexpected(error))
        if outcome is None:
            return self._again(delivery, "the broker does not take what is to be published")
        self.counts[outcome] += 1
        return None

    async def _answer(self, delivery: Delivery) -> str | None:
        event_id, document = read_event(delivery.body)
        rows = self.schema.validate(document)
        fingerprint = hashlib.sha256(
            orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        ).hexdigest()
        name = self.schema.use_case.name
        try:
            answer = await self.batcher.put(
                Question(name, rows, key=EVENT_PREFIX + event_id, fingerprint=fingerprint)
            )
        except InvalidError as error:
            if error.code == "request_id_reused":
                message = (
                    f"The event id {event_id!r} was answered for another event; give every new"
                    " event an id of its own."
                )
                raise InvalidError(422, "event_id_reused", message, "event_id") from error
            raise
        body = b'{"event_id":' + orjson.dumps(event_id) + b"," + answer[1:]
        return await _published(self.outbox.answer(event_id, body), "answered", "duplicate")

    async def _set_aside(self, delivery: Delivery, error: RequestError) -> str | None:
        identifier = f"{delivery.stream}:{delivery.number}"
        logger.warning("event %d is set aside: %s: %s", delivery.number, error.code, error.message)
        return await _published(
            self.outbox.set_aside(identifier, dead_letter(delivery, error), error.code),
            "set aside",
            "set aside",
        )

    def _again(self, delivery: Delivery, reason: str) -> float:
        seconds = (
            min(RETRY_SECONDS * 2.0 ** (delivery.attempt - 1), LONGEST_RETRY_SECONDS)
            if delivery.attempt < MAX_ATTEMPTS
            else None
        )
        logger.warning(
            "event %d cannot be answered now (attempt %d): %s",
            delivery.number,
            delivery.attempt,
            reason,
        )
        self.counts["retried"] += 1
        return LONGEST_RETRY_SECONDS if seconds is None else seconds


def read_event(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the event's id, and the request without it.

    Raises `RequestError` as the endpoint does for a bad body.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise InvalidError(
            422,
            "invalid_value",
            "The event must be an object with event_id and rows.",
            valid=["event_id", "rows"],
        )
    valid = [f"a string of 1 to {MAX_EVENT_ID} characters"]
    if "event_id" not in document:
        raise InvalidError(422, "missing_field", "event_id is missing.", "event_id", valid)
    event_id = document.pop("event_id")
    if (
        not isinstance(event_id, str)
        or not 1 <= len(event_id) <= MAX_EVENT_ID
        or not event_id.isprintable()
    ):
        raise InvalidError(422, "invalid_value", "event_id is not valid.", "event_id", valid)
    return event_id, document


def dead_letter(delivery: Delivery, error: RequestError) -> bytes:
    """Return the event as it came, and why it was set aside; a body that is no UTF-8 is given in
    base64.
    """
    try:
        payload, encoding = delivery.body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(delivery.body).decode("ascii"), "base64"
    origin = {
        "subject": delivery.subject,
        "stream": delivery.stream,
        "number": delivery.number,
        "attempts": delivery.attempt,
    }
    return orjson.dumps(
        {**orjson.loads(error.body()), **origin, "encoding": encoding, "payload": payload}
    )


async def _published(publishing: Awaitable[bool], new: str, repeated: str) -> str | None:
    """Return the outcome, or None while the broker takes nothing."""
    try:
        return new if await publishing else repeated
    except OSError as error:
        logger.warning("the broker did not take a message: %r", error)
        return None


def _unexpected(error: Exception) -> UnreadableError:
    return UnreadableError(
        UNREADABLE_STATUS,
        "failed",
        f"{MAX_ATTEMPTS} attempts failed, the last with {type(error).__name__}: {error}",
    )
