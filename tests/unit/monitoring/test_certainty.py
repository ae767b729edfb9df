"""One interval for the alarm and for people: no false alarms where rows share a cause, no alarm
inside the band that is shown, and windows of few blocks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.effectiveness import effectiveness
from include.monitoring.performance import judge
from include.spec import Monitoring
from include.stats.clustered import block_errors
from include.stats.metrics import summary
from include.stats.two_samples import Sample
from proofs.bench.monitoring.labels import (
    ANY_CHANGE,
    BARE,
    LabelledSetting,
    count_false_alarms,
    draw_labels,
)

DAYS = LabelledSetting(30, 40)


def measured(blocks: int, seed: int, effect: float = 0.7, shift: float = 0.0):
    random = np.random.default_rng(seed)
    labels, scores, member = draw_labels(blocks, replace(DAYS, effect=effect), random)
    scores = np.clip(scores + shift, 0.0, 1.0)
    errors = block_errors({"gap": scores - labels}, member, (labels, scores))
    return labels, scores, member, {**summary(labels, scores), **errors}


def refused(metrics, reference, limits=ANY_CHANGE) -> set[str]:
    return {item.rule for item in judge(metrics, reference, limits)["findings"] if not item.passed}


@pytest.mark.parametrize("setting", [LabelledSetting(1, 600), LabelledSetting(30, 80)])
def test_rows_that_share_a_cause_raise_no_false_alarms(setting):
    counted = count_false_alarms(setting, windows=300, seed=4)
    assert counted.refused["blocks"] <= 8  # of 0.01 a report more are a chance of 0.4 %
    assert counted.refused["independent rows"] > 30


def test_no_alarm_lies_inside_the_band_that_is_shown():
    *_, reference = measured(20, seed=1)
    alarms = 0
    for seed in range(40):
        *_, metrics = measured(30, seed=seed, shift=0.02 * (seed % 5))
        bounds = judge(metrics, reference, ANY_CHANGE)["bounds"]
        rules = refused(metrics, reference)
        alarms += "calibration_gap" in rules
        if "calibration_gap" in rules:
            assert bounds["gap_low"] > 0.0 or bounds["gap_high"] < 0.0
        if "auc_drop" in rules:
            assert bounds["metric_high"] < reference["auc"]
    assert alarms > 5


def test_the_check_that_is_drawn_has_the_alarms_own_bounds_and_decision():
    *_, reference = measured(20, seed=1)
    labels, scores, member, metrics = measured(30, seed=7, shift=0.12)
    side = Side(Sample({"x": scores}, frozenset(), member), scores=scores, labels=labels)
    window = Window(side, side, ANY_CHANGE, baseline=reference)
    alarm = {item.rule: item for item in judge(metrics, reference, ANY_CHANGE)["findings"]}
    bounds = judge(metrics, reference, ANY_CHANGE)["bounds"]
    drawn = {item.rule: item for item in effectiveness(window) if item.rule in alarm}
    assert drawn.keys() == {"auc_drop", "calibration_gap"}
    for rule, item in drawn.items():
        assert (item.passed, item.noise) == (alarm[rule].passed, pytest.approx(alarm[rule].noise))
    assert not drawn["calibration_gap"].passed
    shown = drawn["calibration_gap"].example
    assert (shown["low"], shown["high"]) == pytest.approx((bounds["gap_low"], bounds["gap_high"]))
    shown = drawn["auc_drop"].example
    assert (shown["low"], shown["high"]) == pytest.approx(
        (bounds["metric_low"], bounds["metric_high"])
    )


def test_a_window_of_one_block_is_judged_by_the_blocks_of_the_test_split():
    *_, reference = measured(20, seed=1)
    *_, metrics = measured(1, seed=2)
    metrics["n"] = 1_000.0
    assert metrics["blocks"] == 1.0
    assert refused(metrics, reference) == set()
    far = {**metrics, "mean_score": metrics["observed_rate"] + 0.5}
    assert refused(far, reference) == {"calibration_gap"}
    # A package from before says nothing of blocks, and one alone says nothing of others.
    before = {name: reference[name] for name in BARE}
    (auc, gap) = judge(far, before, Monitoring())["findings"]
    assert {auc.outcome, gap.outcome} == {"not judged"}
    assert "one block" in gap.reason


def test_independent_rows_are_blocks_of_their_own():
    labels, scores, _, _ = measured(30, seed=3, effect=0.0)
    rows = np.arange(len(labels))
    alone = block_errors({"gap": scores - labels}, rows, (labels, scores))
    by_formula = judge(summary(labels, scores), {"auc": 0.5}, ANY_CHANGE)["bounds"]
    by_rows = judge({**summary(labels, scores), **alone}, {"auc": 0.5}, ANY_CHANGE)["bounds"]
    for name in ("metric_low", "metric_high"):
        assert by_rows[name] == pytest.approx(by_formula[name], abs=0.005)


def test_too_few_rows_have_bounds_and_no_verdict():
    frame = pl.DataFrame({"label": [0, 1] * 50, "score": [0.2, 0.7] * 50})
    metrics = summary(frame["label"].to_numpy(), frame["score"].to_numpy())
    result = judge(metrics, {"auc": 0.9}, Monitoring())
    assert not result["judged"]
    assert result["bounds"]["gap_low"] < result["calibration_gap"]
