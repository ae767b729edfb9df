"""An input that knows the label is refused, and whom the rows are about may know much of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from include.data_sets.leakage import leaks
from tests.unit.problems.problem_cases import rows, use_case

CASE = use_case("regression")


def with_levels(size: float) -> pl.DataFrame:
    """The parcels, each depot of another size, by which the minutes differ."""
    frame = rows(2000)
    sizes = frame["depot"].rank("dense").cast(pl.Float64) * size
    return frame.with_columns((pl.col("minutes") + sizes).alias("minutes"))


def refused(frame: pl.DataFrame, load: np.ndarray) -> list[str]:
    """The columns that are refused where the load is this."""
    changed = frame.with_columns(pl.Series("depot_daily__load", load))
    findings = leaks(CASE, changed, "t")
    assert all("raise data_checks.max_single_auc" in finding.sentence for finding in findings)
    return [finding.part for finding in findings]


@pytest.mark.parametrize("size", [0.0, 500.0])
def test_an_input_that_is_the_label_in_disguise_is_refused_whatever_the_entity_tells(size: float):
    frame = with_levels(size)
    assert refused(frame, -frame["minutes"].to_numpy()) == ["depot_daily__load"]


def test_a_level_of_whom_the_rows_are_about_is_no_leak():
    frame = with_levels(500.0)
    levels = frame.select(pl.col("minutes").mean().over("depot"))["minutes"]
    noise = np.random.default_rng(1).normal(0.0, 1.0, frame.height)
    assert refused(frame, levels.to_numpy() + noise) == []
