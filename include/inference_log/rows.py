"""What is logged about one answer, and what is told about it later; the ids that tie the two
together.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

EVENT_PREFIX = "event/"
"""Begins the key of an answer to an event of a broker; no request id of the endpoint can hold a
slash.
"""

EVENTS_KEPT_SECONDS = 8 * 86_400.0
"""How long the id of an answered event is known; the broker keeps events a day less."""

CHAMPION = "champion"
SHADOW = "shadow"
"""The arm of rows that were scored beside the answer and went to nobody."""
SHADOW_VERSION = "8"
"""The version of the UUID of such a row's id."""
PREDICTION_ID = re.compile("[0-9a-f]{12}[78][0-9a-f]{19}")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LABEL = "label"
"""The name of the feedback that says what came true; monitoring joins it like a label."""


@dataclass(slots=True)
class LoggedPrediction:
    """One answered row; not to be changed. Times are microseconds since 1970 (UTC).

    `request` holds entity keys and request fields, `features` the `view__feature` values that were
    used, `score` is the probability, `latency_ms` the time from the request's arrival to the moment
    before the commit. `arm` names the part of a release that the row fell on, `attributions` maps
    each input (and `base_value`) to its contribution to the raw score, where it was asked for. Of
    several classes `predicted_class` is the most probable one and `score` its probability.

    `plan` is the sequence of the traffic plan in force. `model_version` and `model_digest` are of
    the model that answered: of the champion where the row's own arm failed to score it, which
    `fallback` then says why.
    """

    prediction_id: str
    use_case: str
    model_version: int
    answered_at: int
    event_time: int
    target_id: str | int | None
    request: Mapping[str, Any]
    features: Mapping[str, Any]
    score: float
    decision: bool
    flags: Sequence[str]
    latency_ms: float
    arm: str = CHAMPION
    attributions: Mapping[str, float] | None = None
    predicted_class: str | None = None
    plan: int = 0
    model_digest: str | None = None
    fallback: str | None = None

    def as_entry(self) -> list[Any]:
        """What the journal holds of it beside the id: the values from `model_version` on; their
        JSON has times as ISO 8601.
        """
        return [
            self.model_version,
            self.answered_at,
            self.event_time,
            self.target_id,
            self.request,
            self.features,
            self.score,
            self.decision,
            self.flags,
            self.latency_ms,
            self.arm,
            self.attributions,
            self.predicted_class,
            self.plan,
            self.model_digest,
            self.fallback,
        ]

    def as_row(self) -> tuple[Any, ...]:
        """The values in the order of the spool's columns; objects and lists as JSON."""
        return (
            self.prediction_id,
            self.use_case,
            self.model_version,
            self.answered_at,
            self.event_time,
            self.target_id,
            _json(self.request),
            _json(self.features),
            self.score,
            self.decision,
            _json(self.flags),
            self.latency_ms,
            self.arm,
            None if self.attributions is None else _json(self.attributions),
            self.predicted_class,
            self.plan,
            self.model_digest,
            self.fallback,
        )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What an application tells about one answer, under a `name`: `label`, `reward` or a name of
    its own.

    Exactly one of `value` (a number; a label of a yes-or-no question is 0 or 1) and `text` (a
    class) is set. `known_at` is when it became known, `received_at` when the endpoint got it, both
    in microseconds since 1970 (UTC).
    """

    use_case: str
    prediction_id: str
    name: str
    value: float | None
    text: str | None
    known_at: int
    received_at: int

    def as_row(self) -> tuple[Any, ...]:
        """The values in the order of the spool's columns."""
        return (
            self.use_case,
            self.prediction_id,
            self.name,
            self.value,
            self.text,
            self.known_at,
            self.received_at,
        )


@dataclass(frozen=True)
class FeedbackOutcome:
    """Prediction ids by what became of their feedback.

    `recorded` is new and durable. `repeated` had been told before with the same content.
    `conflicting` had been told before with another content: the first one stays. `unknown` are ids
    of no logged answer: a wrong id or use case, an answer that was sampled or dropped out of the
    log, or one older than the use case's `feedback_days`.
    """

    recorded: tuple[str, ...]
    repeated: tuple[str, ...]
    conflicting: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class KeyedAnswer:
    """An answer whose caller gave the request an id, so that asking again gives the same answer and
    logs nothing twice.

    `fingerprint` tells the request from another one under the same id; `prediction_ids` are the
    rows that belong to it.
    """

    use_case: str
    key: str
    fingerprint: str
    body: bytes
    prediction_ids: tuple[str, ...]


def prediction_ids(count: int) -> list[str]:
    """New prediction ids:

    UUID version 7 (RFC 9562) as 32 hex digits, so they sort by the time they were made.
    """
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big").hex()
    random = os.urandom(10 * count).hex()
    return [_uuid7(stamp, random[20 * index : 20 * index + 20]) for index in range(count)]


def shadow_id(prediction_id: str) -> str:
    """The id of the row that a shadow scored beside an answer: the same but for the version of the
    UUID, 8 for 7, so that the two find each other and are never taken for one another.
    """
    return f"{prediction_id[:12]}{SHADOW_VERSION}{prediction_id[13:]}"


def id_moment(prediction_id: str) -> datetime | None:
    """When a prediction id was made (UTC, to the millisecond); None for what is no such id."""
    if not PREDICTION_ID.fullmatch(prediction_id):
        return None
    try:
        return BEGINNING + timedelta(milliseconds=int(prediction_id[:12], 16))
    except OverflowError:  # beyond the year 9999
        return None


def first_id_at(milliseconds: int) -> str:
    """A text that sorts before every id made at or after that moment (milliseconds since 1970), and
    after all earlier ones.
    """
    return max(milliseconds, 0).to_bytes(6, "big").hex()


def _uuid7(stamp: str, random: str) -> str:
    variant = "89ab"[int(random[3], 16) & 3]
    return f"{stamp}7{random[:3]}{variant}{random[4:19]}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
