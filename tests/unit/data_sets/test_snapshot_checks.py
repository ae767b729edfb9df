from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from include.data_sets.snapshot_checks import check_snapshot
from include.interval import Interval
from tests.unit.model.synthetic import DAYS, START, USE_CASE, parcels

WINDOW = Interval(START, START + timedelta(days=DAYS))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations")

BROKEN = {
    "row count": (lambda frame: frame.head(100), ""),
    "both classes": (lambda frame: frame.with_columns(late=pl.lit(0, dtype=pl.Int64)), "late"),
    "label after event": (
        lambda frame: frame.with_columns(known_at=pl.col("asked_at")),
        "known_at",
    ),
    "not all null": (
        lambda frame: frame.with_columns(depot_daily__load=pl.lit(None, dtype=pl.Float64)),
        "depot_daily__load",
    ),
    "time order": (lambda frame: frame.reverse(), "asked_at"),
    "columns": (lambda frame: frame.drop("depot_daily__load"), ""),
}


@pytest.mark.slow
def test_a_good_training_set_breaks_no_rule():
    assert check_snapshot(USE_CASE, parcels(), "parcels/snapshots/x", WINDOW).failures == []


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_refuses_what_breaks_it_alone(rule):
    damage, column = BROKEN[rule]
    failures = check_snapshot(USE_CASE, damage(parcels()), "parcels/snapshots/x", WINDOW).failures
    assert [(failure.rule, failure.part, failure.subject) for failure in failures] == [
        (rule, column, "parcels/snapshots/x")
    ]


def test_repeated_targets_are_refused_with_an_example():
    frame = parcels()
    failures = check_snapshot(USE_CASE, pl.concat([frame, frame.tail(1)]), "x", WINDOW).failures
    assert len(failures) == 1
    assert failures[0].example is not None
    assert failures[0].example["parcel_id"] == frame["parcel_id"][-1]


def test_questions_outside_the_window_and_strange_categories_are_refused():
    early = Interval(START + timedelta(days=1), START + timedelta(days=DAYS))
    assert len(check_snapshot(USE_CASE, parcels(), "x", early).failures) == 1
    strange = parcels().with_columns(
        depot=pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("south")).otherwise("depot")
    )
    assert [
        failure.part for failure in check_snapshot(USE_CASE, strange, "x", WINDOW).failures
    ] == ["depot"]


def rules(frame: pl.DataFrame) -> list[tuple[str, str]]:
    return [
        (failure.rule, failure.part)
        for failure in check_snapshot(USE_CASE, frame, "x", WINDOW).failures
    ]


def leaked(noise: float) -> pl.Expr:
    """The label with a little noise, in place of the load."""
    chance = pl.Series(np.random.default_rng(3).normal(0.0, noise, parcels().height))
    return (pl.col("late") + chance).alias("depot_daily__load")


def test_a_feature_that_knows_the_label_is_refused_whichever_way_it_points():
    assert rules(parcels().with_columns(leaked(0.1))) == [("label leakage", "depot_daily__load")]
    assert rules(parcels().with_columns(-leaked(0.1))) == [("label leakage", "depot_daily__load")]
    hump = (
        pl.when(pl.col("late") == 1)
        .then(pl.col("depot_daily__load") * 0.1 + 0.5)
        .otherwise((pl.col("depot_daily__load") > 0.5) * 2.0)
    )
    assert rules(parcels().with_columns(hump.alias("depot_daily__load"))) == [
        ("label leakage", "depot_daily__load")
    ]
    missing = (
        pl.when(pl.col("late") == 0)
        .then(pl.col("depot_daily__load").fill_null(0.5))
        .alias("depot_daily__load")
    )
    assert rules(parcels().with_columns(missing)) == [("label leakage", "depot_daily__load")]


def test_a_category_that_knows_the_label_is_refused():
    told = (
        pl.when(pl.col("late") == 1).then(pl.lit("west")).otherwise(pl.lit("east")).alias("depot")
    )
    assert rules(parcels().with_columns(told)) == [("label leakage", "depot")]


def test_the_limit_of_leakage_is_what_refuses():
    open_checks = USE_CASE.data_checks.model_copy(update={"max_single_auc": 1.0})
    without = USE_CASE.model_copy(update={"data_checks": open_checks})
    assert check_snapshot(without, parcels().with_columns(leaked(0.1)), "x", WINDOW).failures == []


def test_a_strong_but_honest_feature_is_no_leak():
    assert rules(parcels().with_columns(leaked(1.0))) == []


def test_the_share_of_the_label_has_bounds():
    frame = parcels()
    rare = frame.filter((pl.col("late") == 0) | (pl.int_range(pl.len()) % 40 == 0))
    assert rare["late"].sum() > 0
    assert rules(rare) == [("label share", "late")]


def test_an_input_that_may_be_constant_stays():
    seasonal = tuple(item.model_copy(update={"may_be_constant": True}) for item in USE_CASE.inputs)
    use_case = USE_CASE.model_copy(update={"inputs": seasonal})
    frame = parcels().with_columns(pl.lit(0.5).alias("depot_daily__load"))
    assert check_snapshot(use_case, frame, "x", WINDOW).failures == []


def test_a_constant_input_is_refused():
    assert rules(parcels().with_columns(depot_daily__load=pl.lit(0.5))) == [
        ("not constant", "depot_daily__load")
    ]
    assert rules(parcels().with_columns(depot=pl.lit("east"))) == [("not constant", "depot")]
