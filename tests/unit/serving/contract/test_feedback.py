"""The moment that feedback names, against the endpoint's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from include.use_cases.flight_delays.spec import USE_CASE
from serving.contract.errors import InvalidError
from serving.contract.feedback import feedback_schema

ANSWER = "0190a0b4f0c07d1e9f6a3c2b1d0e4f5a"
SCHEMA = feedback_schema(USE_CASE)


def row(known_at: datetime | None = None) -> dict[str, object]:
    moment = {} if known_at is None else {"known_at": known_at.isoformat()}
    return {"prediction_id": ANSWER, "label": 1, **moment}


def test_a_moment_that_has_not_come_is_refused_with_the_clock_that_says_so() -> None:
    later = datetime.now(UTC) + timedelta(days=1, minutes=5)
    with pytest.raises(InvalidError, match="more than a day after this endpoint's clock") as raised:
        SCHEMA.validate({"feedback": [row(), row(later)]})
    assert (raised.value.status, raised.value.field) == (422, "feedback[1].known_at")
    assert raised.value.valid


@pytest.mark.parametrize("hours", [-100_000, -1, 0, 23])
def test_the_moment_is_taken_as_it_is_where_a_clock_may_be_set_wrong(hours: int) -> None:
    moment = datetime.now(UTC) + timedelta(hours=hours)
    (feedback,) = SCHEMA.validate({"feedback": [row(moment)]})
    assert feedback.known_at == int(moment.timestamp()) * 1_000_000 + moment.microsecond


def test_left_out_it_is_the_moment_in_which_it_came() -> None:
    before = time.time_ns() // 1000
    (feedback,) = SCHEMA.validate({"feedback": [row()]})
    assert before <= feedback.known_at == feedback.received_at <= time.time_ns() // 1000
