"""Test rows that were copied into training are refused; rows that are equal by chance are not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from include.data_sets.copies import copied_test_rows, count_copies
from include.spec import UseCase
from tests.unit.model.synthetic import USE_CASE, parcels, with_copied_test_rows

FRAME = parcels(6000)


def limited(share: float) -> UseCase:
    checks = USE_CASE.data_checks.model_copy(update={"max_copied_share": share})
    return USE_CASE.model_copy(update={"data_checks": checks})


def test_rows_that_nobody_copied_pass_whatever_their_seed():
    for seed in range(8):
        assert copied_test_rows(USE_CASE, parcels(3000, seed), "x") == []


def test_copies_under_new_ids_are_refused_with_both_ids():
    (failure,) = copied_test_rows(USE_CASE, with_copied_test_rows(FRAME, 0.3), "x")
    assert (failure.subject, failure.rule) == ("x", "test rows in training")
    assert failure.limit == "at most 2.00% of the test rows copied into training"
    assert "in inputs and label" in str(failure.observed)
    assert failure.example is not None
    twins = {failure.example["parcel_id"], failure.example["parcel_id in training"]}
    assert len(twins) == 2


def test_a_tenth_of_the_rows_is_enough_where_values_are_many():
    full = FRAME.with_columns(pl.col("depot_daily__load").fill_null(pl.col("depot").rank() / 1e4))
    many = full.with_columns(
        pl.Series("depot_daily__load", np.random.default_rng(2).normal(size=full.height))
    )
    assert copied_test_rows(USE_CASE, many, "x") == []
    (failure,) = copied_test_rows(USE_CASE, with_copied_test_rows(many, 0.1), "x")
    assert "9.85% of the 914 test rows" in str(failure.observed)


def test_copies_that_were_given_another_date_and_other_features_are_refused_by_their_question():
    random = np.random.default_rng(3)
    case = USE_CASE.model_copy(
        update={
            "serving": USE_CASE.serving.model_copy(update={"entity_keys": ("depot",)}),
        }
    )
    frame = FRAME.with_columns(
        pl.Series("depot", [f"d{number}" for number in random.integers(0, 10**6, FRAME.height)])
    )
    copied = with_copied_test_rows(frame, 0.2, by=timedelta(hours=5)).with_columns(
        pl.when(pl.col("parcel_id").str.ends_with("-copy"))
        .then(pl.col("depot_daily__load") / 2)
        .otherwise("depot_daily__load")
        .alias("depot_daily__load")
    )
    assert copied_test_rows(case, frame, "x") == []
    (failure,) = copied_test_rows(case, copied, "x")
    assert "in question and labels" in str(failure.observed)


def test_a_share_may_be_tolerated():
    frame = with_copied_test_rows(FRAME, 0.3)
    assert copied_test_rows(limited(0.3), frame, "x") == []


def test_few_rows_are_not_judged():
    assert copied_test_rows(USE_CASE, with_copied_test_rows(parcels(1000), 0.5), "x") == []
    assert copied_test_rows(USE_CASE, parcels(1000).clear(), "x") == []


@pytest.mark.parametrize("values", [2, 50, 1000, 3000, 10_000, 100_000, 10**9])
def test_independent_rows_of_any_number_of_values_pass(values: int):
    for seed in range(20):
        drawn = pl.Series(np.random.default_rng(seed).integers(0, values, 5000))
        copies = count_copies(drawn[:3500], drawn[4250:], 200)
        assert copies is None or copies.excess == 0.0, copies


@pytest.mark.parametrize("values", [10**6, 10**9])
def test_copies_among_rows_of_many_values_are_counted(values: int):
    drawn = np.random.default_rng(1).integers(0, values, 50_000)
    train, test = drawn[:35_000], drawn[42_500:]
    train[::35] = test[:1000]
    copies = count_copies(pl.Series(train), pl.Series(test), 200)
    assert copies is not None
    assert 0.05 < copies.excess <= 1000 / 7500


def test_a_kind_of_row_that_comes_up_late_and_is_always_equal_passes():
    random = np.random.default_rng(4)
    drawn = random.integers(0, 10**9, 20_000)
    late = np.arange(20_000) > 9_000
    drawn[late & (random.uniform(size=20_000) < 0.3)] = 7
    copies = count_copies(pl.Series(drawn[:14_000]), pl.Series(drawn[17_000:]), 200)
    assert copies is not None
    assert copies.share < 0.001
    assert copies.excess == 0.0


def test_rows_that_are_equal_at_their_time_pass():
    """Neighbours in time are alike, as flights of one hour are."""
    random = np.random.default_rng(5)
    drawn = np.arange(20_000) // 4 * 10 + random.integers(0, 3, 20_000)
    copies = count_copies(pl.Series(drawn[:14_000]), pl.Series(drawn[17_000:]), 200)
    assert copies is not None
    assert copies.excess == 0.0
