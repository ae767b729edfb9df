"""Dates on the command line become the intervals of the process's schedule, or a sentence that says
which would.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
import typer

from cli.runs.dates import moment_of, planned_intervals, training_interval
from include.interval import Interval
from include.spec import Schedule
from include.spec.times import intervals_between
from include.use_cases.flight_delays.spec import USE_CASE

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


JANUARY = at(2013, 1, 1)


def every(cron: str, start: datetime = JANUARY, end: datetime | None = None):
    schedule = Schedule(
        start=start, end=end, features_cron=cron, batch_scoring_cron=cron, monitoring_cron=cron
    )
    return USE_CASE.model_copy(update={"schedule": schedule})


def refusal(use_case, first, last, process="features", now=NOW) -> str:
    with pytest.raises(typer.BadParameter) as refused:
        planned_intervals(use_case, process, first, last, now)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-04", at(2013, 4, 1)),
        ("2013-04-05", at(2013, 4, 5)),
        ("2013-04-05T06:30", at(2013, 4, 5, 6, 30)),
        ("2013-04-05T06:30+02:00", at(2013, 4, 5, 4, 30)),
    ],
)
def test_a_month_a_date_and_a_time_are_moments_in_utc(text, moment):
    assert moment_of(text, "--from") == moment
    assert moment_of(text, "--from").tzinfo is UTC


@pytest.mark.parametrize("text", ["2013-13", "April", "2013-02-30", ""])
def test_what_is_no_moment_is_refused_with_what_is(text):
    with pytest.raises(typer.BadParameter, match=r"no moment; valid: a month such as 2013-04"):
        moment_of(text, "--from")


def test_months_come_oldest_first():
    months = planned_intervals(every("@monthly"), "features", "2013-01", "2013-04", NOW)
    assert months == [
        Interval(at(2013, 1, 1), at(2013, 2, 1)),
        Interval(at(2013, 2, 1), at(2013, 3, 1)),
        Interval(at(2013, 3, 1), at(2013, 4, 1)),
    ]


def test_the_intervals_are_those_of_the_dag(airflow_database):
    from pendulum import instance

    from plugins.timetable import DataIntervalTimetable

    for cron, end in (
        ("@monthly", at(2013, 7, 1)),
        ("@quarterly", at(2013, 7, 1)),
        ("30 6 * * 1", at(2013, 7, 1)),
        ("15 */5 * * *", at(2013, 1, 20)),
    ):
        ours = intervals_between(cron, JANUARY, end)
        timetable = DataIntervalTimetable(cron)
        for interval in ours:
            theirs = timetable.infer_manual_data_interval(run_after=instance(interval.end))
            assert (interval.start, interval.end) == (theirs.start, theirs.end)
        assert all(first.end == second.start for first, second in pairwise(ours))


def test_only_whole_intervals_count():
    days = planned_intervals(
        every("0 6 * * *", at(2013, 1, 1, 6)), "features", "2013-02-01", "2013-02-03", NOW
    )
    assert days == [Interval(at(2013, 2, 1, 6), at(2013, 2, 2, 6))]


def test_a_range_without_a_whole_interval_names_one_that_has():
    text = refusal(every("@monthly"), "2013-02-03", "2013-02-20")
    assert "no whole interval of features (@monthly) lies between" in text
    assert "--from 2013-02-01T00:00 --to 2013-03-01T00:00" in text


def test_the_end_must_be_after_the_start():
    assert "is not after --from" in refusal(every("@daily"), "2013-02-03", "2013-02-03")


@pytest.mark.parametrize(("first", "last"), [(None, "2013-04"), ("2013-04", None), (None, None)])
def test_both_ends_must_be_named(first, last):
    text = refusal(every("@daily"), first, last)
    assert "name them with --from and --to, such as --from 2013-01-01" in text


def test_a_month_in_the_future_is_refused_with_the_newest_that_is_over():
    text = refusal(every("@monthly"), "2026-02", "2026-04")
    assert "2026-04-01T00:00 lies in the future (it is 2026-03-10T12:00 UTC)" in text
    assert "ends at 2026-03-01T00:00" in text


def test_a_range_outside_the_data_is_refused_with_their_end():
    use_case = every("@monthly", end=at(2013, 12, 31))
    assert "lies before the data of flight_delays, which begin at 2013-01-01" in refusal(
        use_case, "2012-11", "2013-02"
    )
    assert "lies behind the data of flight_delays, which end at 2013-12-31" in refusal(
        use_case, "2014-02", "2014-03"
    )


def test_a_training_is_named_by_its_end_alone():
    assert training_interval(USE_CASE, "2013-04", NOW) == Interval(at(2013, 3, 31), at(2013, 4, 1))
    with pytest.raises(typer.BadParameter, match=r"training reads the \d+ days before --to"):
        training_interval(USE_CASE, None, NOW)
    with pytest.raises(typer.BadParameter, match="lies in the future"):
        training_interval(every("@daily"), "2026-04", NOW)
    ended = every("@monthly", end=at(2013, 12, 31))
    with pytest.raises(typer.BadParameter, match="2014-06-01T00:00 lies behind") as raised:
        training_interval(ended, "2014-06", NOW)
    assert raised.value.param_hint == "--to"


def test_an_interval_across_zones_is_one_of_utc():
    vienna = timezone(timedelta(hours=2))
    assert moment_of("2013-04-05T00:00+02:00", "--to") == datetime(2013, 4, 5, tzinfo=vienna)
