"""Probabilities that are not what they say are refused, overall and by slice; a slice's base rate
is no fault.
"""

from __future__ import annotations

import numpy as np
import pytest

from include.evaluation.gates.base import GateInput
from include.evaluation.gates.calibration import explained_error
from include.evaluation.gates.registry import run_gates
from include.stats.metrics import calibration_error
from tests.unit.evaluation.gates.candidates import (
    candidate,
    refused_by,
    scored,
    without_in_west,
)


def refused_slices(given: GateInput, gate: str) -> list[str]:
    return [row.part for row in run_gates(given).findings if row.rule == gate and not row.passed]


def test_an_over_confident_score_is_refused_by_the_calibration_overall_and_in_every_slice():
    given = candidate()
    odds = given.scores / (1 - given.scores)
    verdict = refused_by(scored(given, np.clip(odds**4 / (1 + odds**4), 1e-6, 1 - 1e-6)))
    assert {"calibration", "slice_calibration"} <= verdict


def test_a_slice_with_shifted_probabilities_is_refused_while_the_whole_is_calibrated():
    given = candidate()
    west = given.slices[2].mask
    shifted = scored(given, np.where(west, np.clip(given.scores + 0.2, 0, 1), given.scores))
    assert "calibration" not in refused_by(shifted)
    assert refused_slices(shifted, "slice_calibration") == ["depot=west"]


def test_a_slice_in_which_the_event_is_common_is_not_punished_for_that():
    """With the chance known exactly the Brier score of a rate near a half is far above that of a
    rare event; its skill is not below.
    """
    random = np.random.default_rng(4)
    given = candidate()
    chance = np.where(
        given.slices[2].mask,
        random.beta(4, 4, len(given.labels)),
        random.beta(1, 20, len(given.labels)),
    )
    labels = (random.uniform(size=len(chance)) < chance).astype(np.int64)
    honest = scored(given, chance, labels)
    excess = honest.of_slice(given.slices[2], "brier") - honest.metrics["test.brier"]
    assert excess > 0.08
    assert refused_slices(honest, "slice_brier") == []


def test_a_slice_that_scores_worse_than_its_own_rate_is_refused_by_name():
    given = candidate()
    west = given.slices[2].mask
    worse = scored(given, np.where(west, 1 - given.scores, given.scores))
    assert refused_slices(worse, "slice_brier") == ["depot=west"]


def test_a_slice_with_one_class_only_has_no_skill_and_is_refused_by_that_name():
    given = candidate()
    labels = np.where(given.slices[2].mask, 0, given.labels)
    reasons = run_gates(scored(given, given.scores, labels)).reasons
    assert any("slice_brier" in reason and "one class only" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("metric", "gate"),
    [("brier", "slice_brier"), ("observed_rate", "slice_brier"), ("ece", "slice_calibration")],
)
def test_a_missing_slice_metric_is_a_refusal(metric, gate):
    given = without_in_west(candidate(), metric)
    assert refused_slices(given, gate) == ["depot=west"]
    assert any("missing" in reason for reason in run_gates(given).reasons)


@pytest.mark.parametrize("rows", [100, 300, 3000])
def test_what_size_explains_is_the_error_that_perfect_probabilities_show(rows):
    random = np.random.default_rng(6)
    scores = random.beta(2, 3, rows)
    shown = [
        calibration_error((random.uniform(size=rows) < scores).astype(np.int64), scores)
        for _ in range(200)
    ]
    assert explained_error(scores, seed=1) == pytest.approx(np.mean(shown), rel=0.1)
