from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.interval import Interval
from include.tables.completed import intervals_table, is_complete, mark_complete, missing
from include.tables.store import TableStore

DAY = timedelta(days=1)
FIRST = datetime(2013, 1, 1, tzinfo=UTC)


def days(begin: int, end: int) -> Interval:
    return Interval(FIRST + begin * DAY, FIRST + end * DAY)


def test_nothing_recorded_is_not_complete(root: str):
    assert not is_complete(TableStore(root), "flight_delays", "features", days(0, 1))


def test_the_union_of_overlapping_intervals_counts(root: str):
    tables = TableStore(root)
    for part in (days(4, 6), days(0, 3), days(2, 4)):
        mark_complete(tables, "flight_delays", "features", part, {})
    assert is_complete(tables, "flight_delays", "features", days(1, 6))
    assert not is_complete(tables, "flight_delays", "features", days(1, 7))
    assert not is_complete(tables, "flight_delays", "batch_scoring", days(1, 2))
    assert not is_complete(tables, "another_case", "features", days(1, 2))


def test_gaps_are_named_in_order(root: str):
    tables = TableStore(root)
    mark_complete(tables, "flight_delays", "features", days(2, 3), {})
    mark_complete(tables, "flight_delays", "features", days(5, 9), {})
    assert missing(tables, "flight_delays", "features", days(0, 8)) == [days(0, 2), days(3, 5)]
    assert missing(tables, "flight_delays", "features", days(6, 10)) == [days(9, 10)]


def test_the_same_evidence_is_recorded_once(root: str):
    tables = TableStore(root)
    for evidence in ({"version": 1}, {"version": 1}, {"version": 2}):
        mark_complete(tables, "flight_delays", "features", days(0, 1), evidence)
    assert tables.read(intervals_table("flight_delays"))["evidence_json"].sort().to_list() == [
        '{"version": 1}',
        '{"version": 2}',
    ]
