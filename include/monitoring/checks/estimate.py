"""Performance without labels, marked as an estimate, and how wrong it was where labels have
come.
"""

from __future__ import annotations

import numpy as np

from include.monitoring.checks.base import Side, Window, measured, not_judged, too_few
from include.stats.estimated import (
    Estimate,
    estimate_metrics,
    expected_auc,
    expected_loss,
    fit_calibration,
)
from include.stats.metrics import roc_auc
from include.verdict import Finding

ESTIMATE = "estimate"
FEWEST_REFERENCE = 200
ESTIMATED = ("probability", "value")


def estimate(window: Window) -> list[Finding]:
    """What the metrics would be if the relation between inputs and label still held."""
    if not window.serving.scores.size or window.score_kind not in ESTIMATED:
        return []
    few = too_few(window, ESTIMATE)
    if few is not None:
        return [few]
    calibrating = _calibrating(window)
    mask = calibrating.labelled if calibrating.labels.size else np.empty(0, dtype=bool)
    if mask.sum() < FEWEST_REFERENCE:
        why = f"the reference has {int(mask.sum())} labelled rows, fewer than {FEWEST_REFERENCE}"
        return [not_judged("reference", ESTIMATE, why)]
    scores, labels = calibrating.scores[mask], calibrating.labels[mask]
    how = _binary if window.score_kind == "probability" else _loss
    return how(window, scores, labels)


def _calibrating(window: Window) -> Side:
    """The newest rows whose labels have come: those of the window before, where they are enough.
    Over the real year the mean error of the AUC is then 0.023; by the training's own test split it
    is 0.039 (docs/benchmarks.md).
    """
    newest = window.matured
    if newest is not None and newest.labelled.sum() >= window.limits.minimum_rows:
        return newest
    return window.reference


def _binary(window: Window, scores: np.ndarray, labels: np.ndarray) -> list[Finding]:
    calibration = fit_calibration(scores, labels, seed=window.seed)
    served = window.serving.scores
    estimates = estimate_metrics(served, calibration, threshold=window.threshold, seed=window.seed)
    findings = [_estimated(name, value) for name, value in estimates.items()]
    matured = window.serving.labelled if window.serving.labels.size else np.zeros(0, dtype=bool)
    if matured.sum() >= window.limits.minimum_rows:
        truth, ours = window.serving.labels[matured], served[matured]
        if 0 < truth.sum() < len(truth):
            expected = expected_auc(ours, np.clip(calibration.apply(ours), 1e-6, 1.0 - 1e-6))
            findings.append(_scored(expected, roc_auc(truth, ours), len(truth)))
    return findings


def _estimated(name: str, value: Estimate) -> Finding:
    return Finding(
        rule=f"estimated_{name}",
        subject=ESTIMATE,
        observed=value.value,
        passed=True,
        reason=(
            f"Estimate without labels, if the relation holds: {name} {value.value:.3f}"
            f" ({value.low:.3f} to {value.high:.3f})."
        ),
        example=measured(value.value, value.low, value.high),
    )


def _scored(expected: float, truth: float, rows: int) -> Finding:
    return Finding(
        rule="error_of_estimate",
        subject=ESTIMATE,
        observed=expected - truth,
        passed=True,
        reason=(
            f"Of the {rows} rows whose labels have come the AUC was estimated as {expected:.3f} and"
            f" is {truth:.3f}: an error of {expected - truth:+.3f}."
        ),
    )


def _loss(window: Window, predictions: np.ndarray, labels: np.ndarray) -> list[Finding]:
    """Of a regression: the mean squared error that such predictions had."""
    losses = (predictions - labels) ** 2
    return [_estimated("mse", expected_loss(predictions, losses, window.serving.scores))]
