"""Parity finds an altered score, and tells different values from a different computation."""

import polars as pl
import pytest

from include.features.transform import FeatureTransform
from include.monitoring.parity import compare
from tests.unit.model.synthetic import USE_CASE, parcels


@pytest.fixture(scope="module")
def batch() -> pl.DataFrame:
    rows = parcels(200).with_row_index("row").with_columns(score=pl.col("row") / 1000)
    return rows.drop("row").with_columns(pl.lit(3, dtype=pl.Int64).alias("model_version"))


@pytest.fixture(scope="module")
def transform(batch: pl.DataFrame) -> FeatureTransform:
    return FeatureTransform.fit(USE_CASE, batch)


def at(row: int) -> pl.Expr:
    return pl.int_range(pl.len()) == row


def test_equal_scores_have_no_difference(batch: pl.DataFrame, transform: FeatureTransform) -> None:
    result = compare(USE_CASE, transform, batch, batch.head(50))
    expected = {"compared": 50, "largest": 0.0, "mean": 0.0, "above_tolerance": 0}
    assert result == {**expected, "tolerance": 1e-6, "same_inputs": expected}


def test_an_altered_score_is_found(batch: pl.DataFrame, transform: FeatureTransform) -> None:
    online = batch.head(50).with_columns(
        score=pl.when(at(7)).then(pl.col("score") + 2e-6).otherwise(pl.col("score"))
    )
    result = compare(USE_CASE, transform, batch, online)
    assert result["largest"] == pytest.approx(2e-6)
    assert result["mean"] == pytest.approx(2e-6 / 50)
    assert result["above_tolerance"] == result["same_inputs"]["above_tolerance"] == 1


def test_a_difference_explained_by_another_value_is_told_apart(
    batch: pl.DataFrame, transform: FeatureTransform
) -> None:
    altered = pl.when(at(7)).then
    online = batch.head(50).with_columns(
        score=altered(pl.lit(0.9)).otherwise(pl.col("score")),
        depot_daily__load=altered(pl.lit(2.0)).otherwise(pl.col("depot_daily__load")),
    )
    result = compare(USE_CASE, transform, batch, online)
    assert (result["compared"], result["above_tolerance"]) == (50, 1)
    assert (result["same_inputs"]["compared"], result["same_inputs"]["above_tolerance"]) == (49, 0)


def test_other_versions_and_answers_without_id_are_not_compared(
    batch: pl.DataFrame, transform: FeatureTransform
) -> None:
    other = batch.head(50).with_columns(pl.lit(4, dtype=pl.Int64).alias("model_version"))
    nameless = batch.head(50).with_columns(pl.lit(None, dtype=pl.String).alias("parcel_id"))
    result = compare(USE_CASE, transform, batch, pl.concat([other, nameless]))
    assert (result["compared"], result["largest"]) == (0, None)
