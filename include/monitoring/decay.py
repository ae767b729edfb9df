"""What counts as decay, by kind of problem; `performance` decides what is judged.

Of a binary problem: `auc_drop` (the test split's AUC less the interval's) and `calibration_gap`
(mean score against observed rate). Of several classes: `accuracy_drop` (the test split's accuracy
less the interval's) and `calibration_gap` (the predicted class's mean probability against
accuracy). Of a regression: `loss_increase` (the mean loss over the test split's, less 1) and `bias`
(the absolute mean error in standard deviations of the test labels). `noise` is twice the standard
error, both sides in quadrature where both have one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from include.spec import Monitoring, ProblemKind

STANDARD_ERRORS = 2.0

Check = dict[str, Any]


class DecayRules(ABC):
    """The rules of one kind of problem."""

    baseline_metrics: ClassVar[tuple[str, ...]]
    """What must be known of the model's own test split."""

    @abstractmethod
    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
    ) -> list[Check]:
        """All that can be measured: `{"metric", "observed", "limit", "noise", ...}` each."""

    def left_open(self, rows: int, checks: Sequence[Check]) -> list[str]:  # noqa: ARG002  # an AUC may be undefined
        """What enough rows could not be judged by, and why."""
        return []

    def calibration_gap(self, metrics: Mapping[str, float]) -> float | None:  # noqa: ARG002  # only of a rate
        """Mean score less observed rate."""
        return None


class BinaryDecay(DecayRules):
    """AUC and calibration."""

    baseline_metrics = ("n", "observed_rate", "auc", "brier", "logloss")

    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
    ) -> list[Check]:
        """The AUC where both classes are there, and the calibration of any rows."""
        measured = (_auc_drop(metrics, reference, limits), _calibration_gap(metrics, limits))
        return [check for check in measured if check is not None]

    def left_open(self, rows: int, checks: Sequence[Check]) -> list[str]:
        """An AUC needs both classes."""
        if any(check["metric"] == "auc_drop" for check in checks):
            return []
        return [f"auc_drop: all {rows} labelled rows are of one class"]

    def calibration_gap(self, metrics: Mapping[str, float]) -> float | None:
        """Defined for any rows."""
        return metrics["mean_score"] - metrics["observed_rate"] if metrics.get("n") else None


class MulticlassDecay(DecayRules):
    """Accuracy, and calibration of the predicted class."""

    baseline_metrics = ("n", "accuracy", "mean_score", "ece")

    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
    ) -> list[Check]:
        """The checks on metrics of labelled rows (`accuracy`, `mean_score`, `n`); none without
        rows.
        """
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
                "told": (
                    f"Accuracy is {accuracy:.3f}, the test split's was {reference['accuracy']:.3f}"
                ),
            },
            {
                "metric": "calibration_gap",
                "observed": abs(metrics["mean_score"] - accuracy),
                "limit": limits.max_calibration_gap,
                "noise": noise,
                "told": (
                    f"The predicted classes' mean probability is {metrics['mean_score']:.3f} and"
                    f" the accuracy {accuracy:.3f}"
                ),
            },
        ]


class RegressionDecay(DecayRules):
    """Loss and bias."""

    baseline_metrics = ("n", "spread", "rmse", "mae", "bias", "loss", "loss_error")

    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
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
                    f"The mean error is {metrics['bias']:+.4g}, the test labels' standard deviation"
                    f" is {spread:.4g}"
                ),
            },
        ]


DECAY: dict[ProblemKind, DecayRules] = {
    "binary": BinaryDecay(),
    "multiclass": MulticlassDecay(),
    "regression": RegressionDecay(),
}
"""The rules by kind of problem."""


def auc_standard_error(auc: float, positives: float, negatives: float) -> float:
    """Hanley and McNeil (1982), equation 1: of an AUC from that many independent rows of each
    class.
    """
    first = auc / (2.0 - auc)
    two = 2.0 * auc**2 / (1.0 + auc)
    variance = (
        auc * (1.0 - auc)
        + (positives - 1.0) * (first - auc**2)
        + (negatives - 1.0) * (two - auc**2)
    )
    return math.sqrt(max(variance, 0.0) / (positives * negatives))


def _auc_drop(
    metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
) -> dict[str, Any] | None:
    if "auc" not in metrics:
        return None
    errors = [auc_standard_error(side["auc"], *_classes(side)) for side in (metrics, reference)]
    return {
        "metric": "auc_drop",
        "observed": reference["auc"] - metrics["auc"],
        "limit": limits.max_auc_drop,
        "noise": STANDARD_ERRORS * math.hypot(*errors),
        "auc": metrics["auc"],
        "test_auc": reference["auc"],
    }


def _calibration_gap(metrics: Mapping[str, float], limits: Monitoring) -> dict[str, Any] | None:
    if not metrics:
        return None
    rate = metrics["observed_rate"]
    return {
        "metric": "calibration_gap",
        "observed": abs(metrics["mean_score"] - rate),
        "limit": limits.max_calibration_gap,
        "noise": STANDARD_ERRORS * math.sqrt(rate * (1.0 - rate) / metrics["n"]),
        "mean_score": metrics["mean_score"],
        "observed_rate": rate,
    }


def _classes(metrics: Mapping[str, float]) -> tuple[float, float]:
    positives = metrics["n"] * metrics["observed_rate"]
    return positives, metrics["n"] - positives


def _share_noise(share: float, rows: float) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1.0 - share) / rows)
