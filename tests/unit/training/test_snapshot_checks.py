from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from include.steps import Interval
from include.training.snapshot_checks import check_snapshot
from tests.unit.registry.synthetic import DAYS, START, USE_CASE, parcels

WINDOW = Interval(START, START + timedelta(days=DAYS))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations")

BROKEN = {
    "row count": (lambda frame: frame.head(100), ""),
    "both classes": (lambda frame: frame.with_columns(late=pl.lit(0, dtype=pl.Int64)), "late"),
    "label after event": (lambda frame: frame.with_columns(known_at=pl.col("asked_at")), "known_at"),
    "not all null": (lambda frame: frame.with_columns(depot_daily__load=pl.lit(None, dtype=pl.Float64)), "depot_daily__load"),
    "time order": (lambda frame: frame.reverse(), "asked_at"),
    "columns": (lambda frame: frame.drop("depot_daily__load"), ""),
}


def test_a_good_training_set_breaks_no_rule():
    assert check_snapshot(USE_CASE, parcels(), "parcels/snapshots/x", WINDOW) == []


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_refuses_what_breaks_it_alone(rule):
    damage, column = BROKEN[rule]
    failures = check_snapshot(USE_CASE, damage(parcels()), "parcels/snapshots/x", WINDOW)
    assert [(failure.rule, failure.column, failure.table) for failure in failures] == [(rule, column, "parcels/snapshots/x")]


def test_repeated_targets_are_refused_with_an_example():
    frame = parcels()
    failures = check_snapshot(USE_CASE, pl.concat([frame, frame.tail(1)]), "x", WINDOW)
    assert len(failures) == 1
    assert failures[0].example is not None
    assert failures[0].example["parcel_id"] == frame["parcel_id"][-1]


def test_questions_outside_the_window_and_strange_categories_are_refused():
    early = Interval(START + timedelta(days=1), START + timedelta(days=DAYS))
    assert len(check_snapshot(USE_CASE, parcels(), "x", early)) == 1
    strange = parcels().with_columns(depot=pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("south")).otherwise("depot"))
    assert [failure.column for failure in check_snapshot(USE_CASE, strange, "x", WINDOW)] == ["depot"]
