"""When a label that came as feedback can have become known."""

from datetime import UTC, datetime, timedelta

import polars as pl

from include.data_sets.feedback_times import possible_labels
from include.spec import UseCase
from include.tables.store import TIMESTAMP
from include.use_cases.flight_delays.spec import USE_CASE

ASKED = datetime(2026, 4, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEAST = USE_CASE.label.known_after


def judged(
    known_at: datetime,
    received_at: datetime = ASKED + 5 * HOUR,
    answered_at: datetime = ASKED,
    use_case: UseCase = USE_CASE,
) -> list[datetime]:
    """The moment that the label of one answer counts from; none where it cannot be."""
    times = {"known_at": [known_at], "received_at": [received_at]}
    told = pl.DataFrame({"prediction_id": ["p"], "label": [1], **times})
    answers = pl.DataFrame(
        {"prediction_id": ["p"], "asked_at": [ASKED], "answered_at": [answered_at]}
    )
    zoned = [frame.with_columns(pl.col(pl.Datetime).cast(TIMESTAMP)) for frame in (told, answers)]
    result = possible_labels(use_case, *zoned)
    assert result.columns == told.columns
    return result["known_at"].to_list()


def test_a_label_is_known_after_its_question_by_the_declared_time_at_least() -> None:
    assert LEAST == 3 * HOUR
    assert judged(ASKED + LEAST) == [ASKED + LEAST]
    assert judged(ASKED + LEAST - timedelta(seconds=1)) == []
    assert judged(ASKED - 365 * 24 * HOUR) == []


def test_a_label_of_the_moment_of_its_question_is_none_where_no_time_is_declared() -> None:
    quick = USE_CASE.label.model_copy(update={"known_after": timedelta(0)})
    use_case = USE_CASE.model_copy(update={"label": quick})
    assert judged(ASKED, use_case=use_case) == []
    moment = ASKED + timedelta(microseconds=1)
    assert judged(moment, use_case=use_case) == [moment]


def test_a_label_told_at_once_without_a_moment_is_a_guess() -> None:
    received = ASKED + timedelta(seconds=5)
    assert judged(received, received) == []


def test_a_clock_of_ours_that_was_set_back_costs_no_label() -> None:
    received, answered = ASKED - 24 * HOUR, ASKED + timedelta(seconds=1)
    assert judged(received, received, answered) == [ASKED + LEAST]
    # The application's own moment stays what it is, whatever our clock says.
    assert judged(ASKED + 4 * HOUR, received, answered) == [ASKED + 4 * HOUR]
    assert judged(ASKED - HOUR, received, answered) == []


def test_feedback_on_other_answers_is_left_out() -> None:
    times = {"known_at": [ASKED + LEAST], "received_at": [ASKED + LEAST]}
    told = pl.DataFrame({"prediction_id": ["q"], **times})
    answers = pl.DataFrame({"prediction_id": ["p"], "asked_at": [ASKED], "answered_at": [ASKED]})
    assert possible_labels(USE_CASE, told, answers).is_empty()
