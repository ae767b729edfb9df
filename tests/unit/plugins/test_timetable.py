from __future__ import annotations

from datetime import UTC, datetime

import pendulum
import pytest
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import DataInterval, TimeRestriction

from plugins.timetable import DataIntervalTimetable

END = datetime(2013, 12, 31, 23, tzinfo=UTC)


def month(number: int, year: int = 2013) -> pendulum.DateTime:
    return pendulum.datetime(year, number, 1)


@pytest.fixture(params=["made", "read back"])
def timetable(request) -> DataIntervalTimetable:
    made = DataIntervalTimetable("@monthly", END)
    return made if request.param == "made" else decode_timetable(encode_timetable(made))


def after(timetable: DataIntervalTimetable, interval: DataInterval | None):
    restriction = TimeRestriction(month(1), None, catchup=True)
    return timetable.next_dagrun_info(
        last_automated_data_interval=interval, restriction=restriction
    )


def test_the_last_interval_starts_before_the_end_of_the_data(timetable):
    first = after(timetable, None)
    assert first.data_interval == DataInterval(month(1), month(2))
    last = after(timetable, DataInterval(month(11), month(12)))
    assert last.data_interval == DataInterval(month(12), month(1, 2014))
    assert after(timetable, last.data_interval) is None


def test_an_end_that_the_scheduler_names_holds_as_well(timetable):
    restriction = TimeRestriction(month(1), month(3), catchup=True)
    assert (
        timetable.next_dagrun_info(
            last_automated_data_interval=DataInterval(month(3), month(4)), restriction=restriction
        )
        is None
    )


def test_data_that_keeps_coming_has_no_last_interval():
    endless = DataIntervalTimetable("@monthly")
    assert decode_timetable(encode_timetable(endless)).serialize() == endless.serialize()
    later = after(endless, DataInterval(month(12), month(1, 2014)))
    assert later.data_interval == DataInterval(month(1, 2014), month(2, 2014))


def test_timetables_are_equal_by_cron_and_end():
    same, other = DataIntervalTimetable("@monthly", END), DataIntervalTimetable("@monthly")
    assert {DataIntervalTimetable("@monthly", END), same, other} == {same, other}
    assert same != other
    assert same != DataIntervalTimetable("@daily", END)
    assert same != "@monthly"
