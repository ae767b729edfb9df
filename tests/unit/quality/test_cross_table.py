"""Rules across two tables: where they are judged, what they say, and what they leave alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from include.errors import SpecError
from include.interval import Interval
from include.quality.cross_table import condition, cross_table_failures
from include.spec import CrossTableRule, UseCase
from include.tables.store import TIMESTAMP, TableStore
from tests.unit.model.synthetic import START, USE_CASE

PARCELS, DELIVERIES = "raw/parcels", "raw/deliveries"
FIRST = Interval(START, START + timedelta(days=1))
SECOND = Interval(FIRST.end, FIRST.end + timedelta(days=1))
RULE = CrossTableRule(
    name="a parcel is delivered after its pickup",
    tables=(DELIVERIES, PARCELS),
    on=("parcel_id",),
    holds="deliveries.known_at > parcels.pickup",
)


def ruled(**changes: Any) -> UseCase:
    rule = RULE.model_copy(update=changes)
    return USE_CASE.model_copy(update={"cross_table_rules": (rule,)})


def parcels(*hours: int | None, day: int = 0) -> pl.DataFrame:
    """A parcel each, asked about in the first minute of the day and picked up after `hours`."""
    asked = START + timedelta(days=day)
    rows = [
        {
            "parcel_id": f"p{number}",
            "asked_at": asked,
            "depot": "east",
            "pickup": None if hour is None else asked + timedelta(hours=hour),
        }
        for number, hour in enumerate(hours)
    ]
    return pl.DataFrame(rows).with_columns(pl.col("asked_at", "pickup").cast(TIMESTAMP))


def deliveries(*hours: int, day: int = 0) -> pl.DataFrame:
    """A delivery of each parcel, known after `hours`."""
    known = [START + timedelta(days=day, hours=hour) for hour in hours]
    ids = [f"p{number}" for number in range(len(hours))]
    return pl.DataFrame(
        {"parcel_id": ids, "known_at": known, "late": [0] * len(hours)}
    ).with_columns(pl.col("known_at").cast(TIMESTAMP))


def publish(tables: TableStore, name: str, frame: pl.DataFrame, interval: Interval) -> None:
    column = str(USE_CASE.table(name).time_column)
    tables.replace_window(name, frame, time_column=column, start=interval.start, end=interval.end)


@pytest.fixture
def tables(tmp_path) -> TableStore:
    return TableStore(str(tmp_path))


def test_rows_of_one_delivery_that_contradict_each_other_are_refused_with_both(tables):
    delivered = {PARCELS: parcels(2, 2, 2), DELIVERIES: deliveries(5, 1, 5)}
    notes, (failure,) = cross_table_failures(ruled(), tables, delivered, FIRST)
    assert notes == []
    assert (failure.subject, failure.rule) == (DELIVERIES, "cross-table rule")
    assert "a parcel is delivered after its pickup" in str(failure.limit)
    assert failure.observed == "1 of 3 rows (33.33%)"
    assert failure.example is not None
    assert failure.example["deliveries.parcel_id"] == "p1"
    assert failure.example["parcels.pickup"] == "2020-01-01T02:00:00+00:00"
    assert failure.example["deliveries.known_at"] == "2020-01-01T01:00:00+00:00"


def test_a_row_is_judged_against_its_partner_of_an_earlier_interval(tables):
    publish(tables, PARCELS, parcels(30), FIRST)
    delivered = {PARCELS: parcels(2, day=1).clear(), DELIVERIES: deliveries(3, day=1)}
    _, (failure,) = cross_table_failures(ruled(), tables, delivered, SECOND)
    assert (failure.subject, failure.observed) == (DELIVERIES, "1 of 1 rows (100.00%)")


def test_the_first_table_may_come_last_and_is_refused_then(tables):
    publish(tables, DELIVERIES, deliveries(3, day=1), SECOND)
    delivered = {PARCELS: parcels(30), DELIVERIES: deliveries(3).clear()}
    _, (failure,) = cross_table_failures(ruled(), tables, delivered, FIRST)
    assert failure.subject == PARCELS


def test_rows_that_the_delivery_replaces_are_nobodys_partner(tables):
    publish(tables, PARCELS, parcels(30), FIRST)
    corrected = {PARCELS: parcels(2), DELIVERIES: deliveries(5)}
    assert cross_table_failures(ruled(), tables, corrected, FIRST) == ([], [])


def test_what_is_unknown_breaks_nothing_and_a_share_may_be_tolerated(tables):
    delivered = {PARCELS: parcels(None, 2, 2, 2), DELIVERIES: deliveries(1, 5, 5, 1)}
    assert len(cross_table_failures(ruled(), tables, delivered, FIRST)[1]) == 1
    tolerant = ruled(max_broken_share=0.25)
    assert cross_table_failures(tolerant, tables, delivered, FIRST) == ([], [])


def test_rows_without_a_partner_are_noted(tables):
    delivered = {PARCELS: parcels(2).clear(), DELIVERIES: deliveries(5)}
    (note,), failures = cross_table_failures(ruled(), tables, delivered, FIRST)
    assert failures == []
    assert "not judged: no delivered row has a partner by ['parcel_id']" in note


def test_columns_that_failed_already_are_not_judged_again(tables):
    renamed = parcels(2).rename({"pickup": "picked"})
    (note,), failures = cross_table_failures(
        ruled(), tables, {PARCELS: renamed, DELIVERIES: deliveries(5)}, FIRST
    )
    assert failures == []
    assert "columns that it reads failed already" in note


def test_a_key_that_is_in_every_row_costs_no_more_than_the_rows(tables):
    count = 20_000  # joined with each other: 400 million pairs
    alike = pl.lit("p0").alias("parcel_id")
    delivered = {
        PARCELS: pl.concat([parcels(2)] * count).with_columns(alike),
        DELIVERIES: pl.concat([deliveries(1)] * count).with_columns(alike),
    }
    _, (failure,) = cross_table_failures(ruled(), tables, delivered, FIRST)
    assert failure.observed == "1 of 1 rows (100.00%)"


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        ("deliveries.known_at >", "no condition in SQL"),
        ("deliveries.known > parcels.pickup", "known"),
        ("deliveries.known_at > parcels.depot", "no condition in SQL"),
        ("deliveries.late = 1", "must read both tables, as ['deliveries', 'parcels']"),
        ("deliveries.known_at - parcels.pickup", "no condition; compare it"),
    ],
)
def test_a_condition_that_is_none_is_refused_when_it_is_declared(holds, said):
    case = ruled(holds=holds)
    with pytest.raises(SpecError) as refused:
        condition(case, case.cross_table_rules[0])
    assert said in str(refused.value)
    assert "a parcel is delivered after its pickup" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tables": (DELIVERIES, "raw/parcel")}, "did you mean 'raw/parcels'?"),
        ({"tables": (PARCELS, PARCELS)}, "name two tables"),
        ({"on": ("depot",)}, "on (a column of 'raw/deliveries')"),
        ({"on": ("parcel_id", "late")}, "late"),
    ],
)
def test_a_rule_over_tables_and_keys_that_are_not_there_is_refused(changes, said):
    fields = {**RULE.model_dump(), **changes}
    with pytest.raises(SpecError) as refused:
        UseCase(**{**dict(USE_CASE), "cross_table_rules": (CrossTableRule(**fields),)})
    assert said in str(refused.value)


def test_rows_are_joined_by_the_key_of_one_of_the_tables():
    other = USE_CASE.table(DELIVERIES).model_copy(update={"key": ("parcel_id", "late")})
    same = USE_CASE.table(PARCELS).model_copy(update={"key": ("parcel_id", "depot")})
    with pytest.raises(SpecError, match="the key of neither table"):
        UseCase(**{**dict(USE_CASE), "tables": (same, other), "cross_table_rules": (RULE,)})
