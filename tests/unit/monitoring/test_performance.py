"""Findings beyond limit and noise, what is not judged, and the baseline that must be there."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from include.errors import RegistryError
from include.monitoring.certainty import auc_standard_error
from include.monitoring.performance import baseline, judge, measure, slices
from include.spec import Monitoring
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

LIMITS = Monitoring(max_auc_drop=0.05, max_calibration_gap=0.05, minimum_rows=1000)
REFERENCE = {"n": 9000.0, "observed_rate": 0.2, "auc": 0.70, "brier": 0.15, "logloss": 0.45}


def metrics(**changes: float) -> dict[str, float]:
    return {
        "n": 20000.0,
        "observed_rate": 0.2,
        "mean_score": 0.21,
        "auc": 0.69,
        "brier": 0.15,
        "logloss": 0.46,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"auc": 0.651}, []),
        ({"auc": 0.649}, ["auc_drop"]),
        ({"auc": 0.90}, []),
        ({"mean_score": 0.251}, ["calibration_gap"]),
        ({"mean_score": 0.149}, ["calibration_gap"]),
        ({"auc": 0.60, "mean_score": 0.3}, ["auc_drop", "calibration_gap"]),
        ({"auc": 0.60, "mean_score": 0.3, "n": 999.0}, []),
    ],
)
def test_findings(changes: dict[str, float], found: list[str]) -> None:
    result = judge(metrics(**changes), REFERENCE, LIMITS)
    refused = [finding for finding in result["findings"] if not finding.passed]
    assert [finding.rule for finding in refused] == found
    assert all(finding.observed > finding.limit for finding in refused)


def test_a_drop_within_its_noise_is_no_finding() -> None:
    rare = metrics(n=1000.0, observed_rate=0.01, mean_score=0.012, auc=0.62)
    drop = judge(rare, REFERENCE, LIMITS)
    assert drop["auc_drop"] == pytest.approx(0.08)
    assert all(finding.passed for finding in drop["findings"])
    assert drop["judged"]


def test_too_few_rows_are_stated_and_still_measured() -> None:
    result = judge(metrics(n=999.0, auc=0.5), REFERENCE, LIMITS)
    assert not result["judged"]
    assert {finding.outcome for finding in result["findings"]} == {"not judged"}
    assert result["findings"][0].reason == ("999 labelled rows are fewer than the minimum of 1000")
    assert result["auc_drop"] == pytest.approx(0.2)


def test_no_labelled_row_is_not_judged() -> None:
    frame = pl.DataFrame(
        {"label": [None, None], "score": [0.2, 0.3]},
        schema={"label": pl.Int64, "score": pl.Float64},
    )
    result = judge(measure(frame), REFERENCE, LIMITS)
    assert (result["judged"], result["auc_drop"], result["calibration_gap"]) == (False, None, None)


def test_one_class_leaves_the_auc_open_and_judges_calibration() -> None:
    frame = pl.DataFrame({"label": [0] * 1200, "score": [0.2] * 1200})
    result = judge(measure(frame), REFERENCE, LIMITS)
    outcomes = {finding.rule: (finding.outcome, finding.reason) for finding in result["findings"]}
    assert outcomes["auc_drop"] == ("not judged", "all 1200 labelled rows are of one class")
    assert outcomes["calibration_gap"][0] == "refused"


def test_the_standard_error_matches_a_simulation() -> None:
    # Exponential scores: the model for which Hanley and McNeil's formula is derived; AUC = r / (1 +
    # r).
    random = np.random.default_rng(5)
    values = [
        np.mean(random.exponential(2.0, 60)[:, None] > random.exponential(1.0, 90)[None, :])
        for _ in range(2000)
    ]
    assert np.std(values) == pytest.approx(
        auc_standard_error({"auc": 2 / 3, "n": 150, "observed_rate": 0.4}), rel=0.06
    )


@pytest.mark.parametrize("known", [{}, {**REFERENCE, "auc": float("nan")}])
def test_a_missing_baseline_is_an_error(known: dict[str, float]) -> None:
    model: Any = SimpleNamespace(
        metadata=SimpleNamespace(metrics=known, run_id="r1", problem="binary")
    )
    with pytest.raises(RegistryError, match="auc"):
        baseline(model)


def test_slices_hold_their_own_metrics_and_say_when_too_small(tmp_path: Path) -> None:
    frame = parcels()
    _, model = fitted_package(tmp_path / "model", frame)
    few = frame.filter(pl.col("depot") == "north").head(49)
    rows = pl.concat([frame.filter(pl.col("depot") != "north"), few]).rename({"late": "label"})
    scored = rows.with_columns(pl.Series("score", model.score_frame(rows)))
    parts = {part["value"]: part for part in slices(USE_CASE, copy.copy(model), scored)}
    assert parts["north"] == {
        "column": "depot",
        "value": "north",
        "status": "too few rows",
        "metrics": {"n": 49.0},
    }
    west = scored.filter(pl.col("depot") == "west")
    assert parts["west"]["metrics"] == measure(west)
