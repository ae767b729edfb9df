"""Performance without labels, marked as an estimate, and how wrong it was where labels have
come.
"""

from __future__ import annotations

import math

import numpy as np

from include.monitoring.checks.base import Window, measured, not_judged, too_few
from include.monitoring.checks.effectiveness import own_blocks
from include.stats.clustered import auc_error
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
    scores, labels = _calibrating(window)
    if len(labels) < FEWEST_REFERENCE:
        why = f"the reference has {len(labels)} labelled rows, fewer than {FEWEST_REFERENCE}"
        return [not_judged("reference", ESTIMATE, why)]
    how = _binary if window.score_kind == "probability" else _loss
    return how(window, scores, labels)


def _calibrating(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of the newest `sliding_windows` windows whose labels have come; of a
    version that scored fewer the test split is the first. One window alone is moved by its own
    weather as much as the one that is estimated (docs/benchmarks.md has both over the real year).
    """
    least = window.limits.minimum_rows
    matured = [side for side in window.matured if side.labelled.sum() >= least]
    sides = [window.reference, *matured][-window.limits.sliding_windows :]
    parts = [(side.scores[side.labelled], side.labels[side.labelled]) for side in sides]
    scores, labels = (np.concatenate(values) for values in zip(*parts, strict=True))
    return scores, labels


def _binary(window: Window, scores: np.ndarray, labels: np.ndarray) -> list[Finding]:
    calibration = fit_calibration(scores, labels)
    served = window.serving.scores
    estimates = estimate_metrics(served, calibration, threshold=window.threshold, seed=window.seed)
    findings = [_estimated(name, value) for name, value in estimates.items()]
    matured = window.serving.labelled if window.serving.labels.size else np.zeros(0, dtype=bool)
    if matured.sum() >= window.limits.minimum_rows:
        truth, ours = window.serving.labels[matured], served[matured]
        if 0 < truth.sum() < len(truth):
            expected = expected_auc(ours, np.clip(calibration.apply(ours), 1e-6, 1.0 - 1e-6))
            blocks = own_blocks(window.serving)[matured]
            noise = auc_error(truth, ours, blocks).within()
            findings.append(_scored(expected, roc_auc(truth, ours), len(truth), noise))
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


def _scored(expected: float, truth: float, rows: int, noise: float) -> Finding:
    """The error beside what the labels of so few blocks leave to chance."""
    by_chance = f", where chance makes up to {noise:.3f}" if math.isfinite(noise) else ""
    return Finding(
        rule="error_of_estimate",
        subject=ESTIMATE,
        observed=expected - truth,
        noise=noise if math.isfinite(noise) else None,
        passed=True,
        reason=(
            f"Of the {rows} rows whose labels have come the AUC was estimated as {expected:.3f} and"
            f" is {truth:.3f}: an error of {expected - truth:+.3f}{by_chance}."
        ),
    )


def _loss(window: Window, predictions: np.ndarray, labels: np.ndarray) -> list[Finding]:
    """Of a regression: the mean squared error that such predictions had."""
    losses = (predictions - labels) ** 2
    return [_estimated("mse", expected_loss(predictions, losses, window.serving.scores))]
