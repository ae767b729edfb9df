"""Periods, files and what is left out of documents."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from include.errors import DataError, EvidenceError
from include.evidence.assessment import assess, state_of
from include.evidence.records import Evidence, Lack, Period, csv_file, finding, without_rows
from include.evidence.requirements import FRAMEWORKS, KINDS, REQUIREMENTS, Requirement
from include.interval import Interval


def moment(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)


def test_a_period_holds_its_begin_and_not_its_end():
    period = Period.parse("2026-01-02", "2026-01-04T01:00+01:00")
    assert [period.holds(moment(day)) for day in (1, 2, 3, 4)] == [False, True, True, False]
    assert period.meets(Interval(moment(1), moment(3)))
    assert not period.meets(Interval(moment(1), moment(2)))
    assert Period().holds(moment(1))
    rows = pl.DataFrame({"at": [moment(day) for day in (1, 2, 3, 4)]})
    assert rows.filter(period.where("at")).height == 2


@pytest.mark.parametrize(
    ("since", "until", "text"),
    [
        ("2026-02-01", "2026-01-01", "must end after it begins"),
        ("last year", None, "'last year' is no date or time; write for example 2026-01-01"),
    ],
)
def test_a_period_that_cannot_be_is_refused(since, until, text):
    with pytest.raises(DataError, match=text):
        Period.parse(since, until)


def test_what_may_be_a_row_is_left_out_wherever_it_stands():
    document = {
        "failures": [{"rule": "range", "example": {"name": "Ada Lovelace"}}, {"example": None}],
        "result": {"partial_unexpected_list": ["ada@example.org"], "success": False},
        "attribution_rows": [{"row": 1}],
    }
    shown = without_rows(document)
    assert "Ada" not in str(shown)
    assert "ada@" not in str(shown)
    assert shown["failures"][1] == {"example": None}
    assert shown["result"]["success"] is False


def test_a_table_has_the_same_bytes_in_whatever_order_its_rows_lie():
    rows = pl.DataFrame({"at": [moment(2), moment(1)], "text": ['a,"b', None]})
    first = csv_file("a.csv", rows, "t").content
    assert first == csv_file("a.csv", rows.reverse(), "t").content
    assert first.decode().splitlines()[1:] == [
        "2026-01-01T00:00:00+00:00,",
        '2026-01-02T00:00:00+00:00,"a,""b"',
    ]


def test_every_requirement_asks_for_kinds_that_are_collected():
    assert {item.framework for item in REQUIREMENTS} == {*FRAMEWORKS}
    for item in REQUIREMENTS:
        assert item.kinds, item
        assert {*item.kinds} <= {*KINDS}, item
    assert {kind for item in REQUIREMENTS for kind in item.kinds} == {*KINDS}


@pytest.mark.parametrize(
    ("states", "beyond", "state"),
    [
        (("present", "present"), "", "present"),
        (("present", "present"), "a plan on paper", "partly"),
        (("present", "missing"), "", "partly"),
        (("missing", "missing"), "", "missing"),
        (("partly",), "", "partly"),
    ],
)
def test_a_requirement_is_as_its_evidence_is(states, beyond, state):
    assert state_of(states, beyond) == state


def test_a_finding_or_something_missing_makes_evidence_partly():
    assert Evidence("use", exists=True).state == "present"
    assert Evidence("use", exists=True, lacks=(Lack("a", "b"),)).state == "partly"
    assert Evidence("use", exists=True, findings=(finding("a", "b", "c."),)).state == "partly"
    assert Evidence("use", exists=False).state == "missing"


def test_a_kind_that_nobody_looked_for_is_no_missing_evidence():
    parts = [Evidence(kind, exists=True) for kind in KINDS]
    requirement = Requirement("a", "1", "t", ("use",))
    assert assess(parts, [requirement]).requirements[0].state == "present"
    for wrong in (parts[1:], [*parts, parts[0]]):
        with pytest.raises(EvidenceError, match=r"\['use'\] must be collected once each"):
            assess(wrong)
