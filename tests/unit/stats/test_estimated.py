"""Performance without labels, against the truth where the relation holds and where it does not."""

import numpy as np
import pytest

from include.stats.estimated import (
    Calibration,
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
    calibration = fit_calibration(*drawn(20_000, seed=2))
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
    none = Calibration()
    inside = 0
    for seed in range(60):
        scores, labels = drawn(800, seed=seed)
        auc = estimate_metrics(scores, none, threshold=0.5, seed=seed)["auc"]
        inside += auc.low <= roc_auc(labels, scores) <= auc.high
    assert inside >= 52


def test_scores_that_are_no_probabilities_are_calibrated_first():
    chance, labels = drawn(8_000)
    fresh, later = drawn(8_000, seed=2)
    calibration = fit_calibration(np.sqrt(chance), labels)
    served = calibration.apply(np.sqrt(fresh))
    assert calibration_error(later, served) < 0.3 * calibration_error(later, np.sqrt(fresh))


def test_probabilities_that_are_right_hardly_move_and_those_of_few_rows_not_at_all():
    scores, labels = drawn(4_000)
    assert np.abs(fit_calibration(scores, labels).apply(scores) - scores).mean() < 0.02
    assert fit_calibration(scores[:199], labels[:199]) == Calibration()
    assert Calibration().apply(scores) == pytest.approx(scores)


def test_a_calibration_never_falls_and_bears_labels_of_one_class():
    scores, labels = drawn(2_000)
    for turned in (1.0 - labels, np.zeros(2_000), np.ones(2_000)):
        served = fit_calibration(scores, turned).apply(np.linspace(0.0, 1.0, 50))
        assert np.isfinite(served).all()
        assert (np.diff(served) >= 0.0).all()


def test_a_small_window_does_not_promise_more_than_there_is():
    """A free curve, fitted to 300 rows, promises a higher AUC than the rows have."""
    errors = []
    for seed in range(40):
        calibration = fit_calibration(*drawn(300, seed=seed))
        scores, labels = drawn(5_000, seed=seed + 100)
        chance = np.clip(calibration.apply(scores), 1e-6, 1.0 - 1e-6)
        errors.append(expected_auc(scores, chance) - roc_auc(labels, scores))
    assert abs(np.mean(errors)) < 0.012


def test_a_changed_relation_is_not_seen_by_the_estimate():
    """Which is why it is marked as one."""
    scores, _ = drawn(5_000)
    turned = (np.random.default_rng(3).random(5_000) < 0.3).astype(np.float64)
    none = Calibration()
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
