"""Statistics of feature values by interval: what they count, and where they lie."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from include.features.statistics import describe
from include.interval import Interval

JANUARY = Interval(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))


def described(values: pl.Series) -> dict:
    frame = pl.DataFrame({"x": values})
    return describe(frame, ["x"], JANUARY).row(0, named=True)


def test_a_number_has_moments_and_quantiles_and_nan_is_null():
    row = described(pl.Series([1.0, 2.0, 3.0, 4.0, 5.0, None, float("nan")]))
    assert (row["kind"], row["rows"], row["nulls"]) == ("number", 7, 2)
    assert (row["mean"], row["sd"]) == (3.0, pytest.approx(1.58114, abs=1e-5))
    assert (row["low"], row["q25"], row["median"], row["high"]) == (1.0, 2.0, 3.0, 5.0)
    assert row["q05"] == pytest.approx(1.2)
    assert row["top_json"] is None
    assert (row["interval_start"], row["interval_end"]) == (JANUARY.start, JANUARY.end)


def test_a_text_has_its_commonest_values_with_their_shares():
    row = described(pl.Series(["a"] * 5 + ["b"] * 3 + ["c", "d", "e", "f"] + [None] * 4))
    assert (row["kind"], row["rows"], row["nulls"], row["mean"]) == ("text", 16, 4, None)
    top = json.loads(row["top_json"])
    assert list(top) == ["a", "b", "c", "d", "e"]
    assert (top["a"], top["b"]) == (5 / 16, 3 / 16)


def test_a_truth_is_a_number_and_a_time_is_only_counted():
    assert described(pl.Series([True, False, None]))["mean"] == 0.5
    row = described(pl.Series([JANUARY.start, None]))
    assert (row["kind"], row["nulls"], row["mean"]) == ("time", 1, None)


@pytest.mark.parametrize("values", [pl.Series([], dtype=pl.Float64), pl.Series([None, None])])
def test_a_feature_without_a_value_is_counted_and_breaks_nothing(values):
    row = described(values.cast(pl.Float64))
    assert (row["rows"], row["nulls"], row["mean"], row["high"]) == (
        len(values),
        len(values),
        None,
        None,
    )
