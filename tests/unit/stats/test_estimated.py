"""Performance without labels, against the truth where the relation holds and where it does not."""

import numpy as np
import pytest

from include.stats.estimated import (
    estimate_metrics,
    expected_auc,
    expected_loss,
    fit_calibration,
)
from include.stats.metrics import brier, calibration_error, roc_auc


def drawn(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    chance = 1.0 / (1.0 + np.exp(-random.normal(-1.0, 1.2, size=rows)))
    return chance, (random.random(rows) < chance).astype(np.float64)


def test_the_expected_auc_of_sure_labels_is_the_auc():
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.9])
    labels = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    assert expected_auc(scores, labels) == pytest.approx(roc_auc(labels, scores))


def test_metrics_are_estimated_where_the_relation_holds():
    scores, labels = drawn(20_000)
    calibration = fit_calibration(*drawn(20_000, seed=2), seed=1)
    estimates = estimate_metrics(scores, calibration, threshold=0.5, seed=1)
    truth = {
        "auc": roc_auc(labels, scores),
        "brier": brier(labels, scores),
        "accuracy": float(((scores >= 0.5) == (labels == 1)).mean()),
        "observed_rate": float(labels.mean()),
    }
    for name, value in truth.items():
        assert estimates[name].value == pytest.approx(value, abs=0.01), name
        assert estimates[name].low < estimates[name].value < estimates[name].high


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    none = fit_calibration(np.empty(0), np.empty(0), seed=1)
    inside = 0
    for seed in range(60):
        scores, labels = drawn(800, seed=seed)
        auc = estimate_metrics(scores, none, threshold=0.5, seed=seed)["auc"]
        inside += auc.low <= roc_auc(labels, scores) <= auc.high
    assert inside >= 52


def test_scores_that_are_no_probabilities_are_calibrated_first():
    chance, labels = drawn(8_000)
    fresh, later = drawn(8_000, seed=2)
    calibration = fit_calibration(np.sqrt(chance), labels, seed=1)
    assert calibration.scores.size
    served = calibration.apply(np.sqrt(fresh))
    assert calibration_error(later, served) < 0.3 * calibration_error(later, np.sqrt(fresh))


def test_probabilities_that_are_right_stay_as_they_are():
    scores, labels = drawn(4_000)
    assert not fit_calibration(scores, labels, seed=1).scores.size


def test_a_changed_relation_is_not_seen_by_the_estimate():
    """Which is why it is marked as one."""
    scores, _ = drawn(5_000)
    turned = (np.random.default_rng(3).random(5_000) < 0.3).astype(np.float64)
    none = fit_calibration(np.empty(0), np.empty(0), seed=1)
    estimated = estimate_metrics(scores, none, threshold=0.5, seed=1)["auc"].value
    assert estimated > roc_auc(turned, scores) + 0.2


def test_the_loss_of_a_regression_is_estimated_by_its_predictions():
    random = np.random.default_rng(4)
    predictions, served = random.uniform(1, 5, 6_000), random.uniform(3, 5, 2_000)
    losses = (random.normal(size=6_000) * predictions) ** 2
    estimate = expected_loss(predictions, losses, served)
    truth = float(((random.normal(size=100_000) * random.uniform(3, 5, 100_000)) ** 2).mean())
    assert estimate.low < truth < estimate.high
    assert estimate.value > 1.3 * losses.mean()
