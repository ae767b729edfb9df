from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from include.errors import DataError
from include.stats import metrics


def rows(
    seed: int, *, ties: bool, rate: float = 0.3, size: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.beta(2, 4, size)
    labels = (random.uniform(size=size) < scores * rate / (1 / 3)).astype(int)
    return labels, scores.round(2) if ties else scores


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", [False, True])
def test_metrics_are_those_of_scikit_learn(seed, ties):
    labels, scores = rows(seed, ties=ties)
    assert metrics.roc_auc(labels, scores) == pytest.approx(
        reference.roc_auc_score(labels, scores), abs=1e-12
    )
    assert metrics.average_precision(labels, scores) == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )
    assert metrics.brier(labels, scores) == pytest.approx(
        reference.brier_score_loss(labels, scores), abs=1e-12
    )
    assert metrics.log_loss(labels, scores) == pytest.approx(
        reference.log_loss(labels, np.clip(scores, 1e-15, 1 - 1e-15)), abs=1e-12
    )


@pytest.mark.parametrize("ties", [False, True])
def test_the_roc_curve_is_that_of_scikit_learn(ties):
    labels, scores = rows(7, ties=ties)
    found = metrics.roc_curve(labels, scores)
    expected = reference.roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(found[0], expected[0])
    assert np.allclose(found[1], expected[1])


def test_calibration_bins_are_those_of_scikit_learn_when_the_bins_divide_the_rows():
    labels, scores = rows(3, ties=False)
    rates, means = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    bins = metrics.calibration_bins(labels, scores)
    assert [part["n"] for part in bins] == [200.0] * 10
    assert np.allclose([part["observed_rate"] for part in bins], rates, atol=0.005)
    assert np.allclose([part["mean_score"] for part in bins], means, atol=0.005)
    assert metrics.calibration_error(labels, scores) == pytest.approx(
        np.abs(rates - means).mean(), abs=0.005
    )


def test_the_calibration_error_of_a_shifted_score_is_the_shift():
    labels = np.array([0] * 60 + [1] * 40)
    assert metrics.calibration_error(labels, np.full(100, 0.4), bins=1) == pytest.approx(0.0)
    assert metrics.calibration_error(labels, np.full(100, 0.7), bins=1) == pytest.approx(0.3)


def test_a_perfect_an_inverted_and_a_constant_score():
    labels = np.array([0, 0, 1, 1])
    assert metrics.roc_auc(labels, np.array([0.1, 0.2, 0.8, 0.9])) == 1.0
    assert metrics.roc_auc(labels, np.array([0.9, 0.8, 0.2, 0.1])) == 0.0
    assert metrics.roc_auc(labels, np.full(4, 0.5)) == 0.5


def test_one_class_leaves_the_ranking_metrics_out():
    summary = metrics.summary(np.zeros(5), np.full(5, 0.2))
    assert "auc" not in summary
    assert "average_precision" not in summary
    assert summary["brier"] == pytest.approx(0.04)
    assert summary["n"] == 5


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        ([], []),
        ([0, 1], [0.5]),
        ([0, 1], [0.5, float("nan")]),
        ([0, 1], [0.5, 1.5]),
        ([0, 2], [0.5, 0.5]),
    ],
)
def test_nonsense_is_refused(labels, scores):
    with pytest.raises(DataError):
        metrics.summary(np.array(labels), np.array(scores))


def test_ranking_metrics_of_one_class_are_refused():
    for function in (metrics.roc_auc, metrics.roc_curve, metrics.average_precision):
        with pytest.raises(DataError):
            function(np.zeros(3), np.full(3, 0.5))
