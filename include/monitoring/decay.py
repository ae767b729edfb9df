"""What counts as decay of several classes and of a regression; `performance` holds the binary rules
and decides what is judged.

Of several classes: `accuracy_drop` (the test split's accuracy less the interval's) and
`calibration_gap` (the predicted class's mean probability against accuracy). Of a regression:
`loss_increase` (the mean loss over the test split's, less 1) and `bias` (the absolute mean error in
standard deviations of the test labels). `noise` is twice the standard error, both sides in
quadrature where both have one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from include.spec import Monitoring

STANDARD_ERRORS = 2.0
MULTICLASS_BASELINE = ("n", "accuracy", "mean_score", "ece")
REGRESSION_BASELINE = ("n", "spread", "rmse", "mae", "bias", "loss", "loss_error")

Check = dict[str, Any]


def multiclass_checks(
    metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
) -> list[Check]:
    """The checks on metrics of labelled rows (`accuracy`, `mean_score`, `n`); none without rows."""
    if not metrics:
        return []
    accuracy, rows = metrics["accuracy"], metrics["n"]
    noise, before = (
        _share_noise(accuracy, rows),
        _share_noise(reference["accuracy"], reference["n"]),
    )
    return [
        {
            "metric": "accuracy_drop",
            "observed": reference["accuracy"] - accuracy,
            "limit": limits.max_accuracy_drop,
            "noise": math.hypot(noise, before),
            "told": f"Accuracy is {accuracy:.3f}, the test split's was {reference['accuracy']:.3f}",
        },
        {
            "metric": "calibration_gap",
            "observed": abs(metrics["mean_score"] - accuracy),
            "limit": limits.max_calibration_gap,
            "noise": noise,
            "told": (
                f"The predicted classes' mean probability is {metrics['mean_score']:.3f} and the"
                f" accuracy {accuracy:.3f}"
            ),
        },
    ]


def regression_checks(
    metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
) -> list[Check]:
    """The checks on metrics of labelled rows (`loss`, `loss_error`, `bias`, `rmse`, `n`); none
    without rows.
    """
    if not metrics:
        return []
    spread, before = reference["spread"] or 1.0, reference["loss"] or 1.0
    return [
        {
            "metric": "loss_increase",
            "observed": metrics["loss"] / before - 1.0,
            "limit": limits.max_loss_increase,
            "noise": (
                STANDARD_ERRORS
                * math.hypot(metrics["loss_error"], reference["loss_error"])
                / before
            ),
            "told": (
                f"The mean loss is {metrics['loss']:.4g}, the test split's was"
                f" {reference['loss']:.4g}"
            ),
        },
        {
            "metric": "bias",
            "observed": abs(metrics["bias"]) / spread,
            "limit": limits.max_bias,
            "noise": STANDARD_ERRORS * metrics["rmse"] / math.sqrt(metrics["n"]) / spread,
            "told": (
                f"The mean error is {metrics['bias']:+.4g}, the test labels' standard deviation is"
                f" {spread:.4g}"
            ),
        },
    ]


def _share_noise(share: float, rows: float) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1.0 - share) / rows)
