"""What counts as decay, by kind of problem; `performance` decides what is judged.

Of a binary problem: `auc_drop` (the test split's AUC less the interval's) and `calibration_gap`
(mean score against observed rate). Of several classes: `accuracy_drop` (the test split's accuracy
less the interval's) and `calibration_gap` (the predicted class's mean probability against
accuracy). Of a regression: `loss_increase` (the mean loss over the test split's, less 1) and `bias`
(the absolute mean error in standard deviations of the test labels). `noise` is twice the standard
error, both sides in quadrature where both have one. A check passes up to its limit or its noise,
whichever is more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from include.spec import Monitoring, ProblemKind
from include.verdict import Finding

STANDARD_ERRORS = 2.0
PERFORMANCE = "performance"


class DecayRules(ABC):
    """The rules of one kind of problem."""

    baseline_metrics: ClassVar[tuple[str, ...]]
    """What must be known of the model's own test split."""

    @abstractmethod
    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
    ) -> list[Finding]:
        """All that can be measured."""

    def left_open(self, rows: int, checks: Sequence[Finding]) -> list[Finding]:  # noqa: ARG002  # an AUC may be undefined
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
    ) -> list[Finding]:
        """The AUC where both classes are there, and the calibration of any rows."""
        measured = (_auc_drop(metrics, reference, limits), _calibration_gap(metrics, limits))
        return [check for check in measured if check is not None]

    def left_open(self, rows: int, checks: Sequence[Finding]) -> list[Finding]:
        """An AUC needs both classes."""
        if any(check.rule == "auc_drop" for check in checks):
            return []
        return [left_open("auc_drop", f"all {rows} labelled rows are of one class")]

    def calibration_gap(self, metrics: Mapping[str, float]) -> float | None:
        """Defined for any rows."""
        return metrics["mean_score"] - metrics["observed_rate"] if metrics.get("n") else None


class MulticlassDecay(DecayRules):
    """Accuracy, and calibration of the predicted class."""

    baseline_metrics = ("n", "accuracy", "mean_score", "ece")

    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
    ) -> list[Finding]:
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
            _check(
                "accuracy_drop",
                reference["accuracy"] - accuracy,
                limits.max_accuracy_drop,
                math.hypot(noise, before),
                f"Accuracy is {accuracy:.3f}, the test split's was {reference['accuracy']:.3f}",
            ),
            _check(
                "calibration_gap",
                abs(metrics["mean_score"] - accuracy),
                limits.max_calibration_gap,
                noise,
                f"The predicted classes' mean probability is {metrics['mean_score']:.3f} and the"
                f" accuracy {accuracy:.3f}",
            ),
        ]


class RegressionDecay(DecayRules):
    """Loss and bias."""

    baseline_metrics = ("n", "spread", "rmse", "mae", "bias", "loss", "loss_error")

    def checks(
        self, metrics: Mapping[str, float], reference: Mapping[str, float], limits: Monitoring
    ) -> list[Finding]:
        """The checks on metrics of labelled rows (`loss`, `loss_error`, `bias`, `rmse`, `n`); none
        without rows.
        """
        if not metrics:
            return []
        spread, before = reference["spread"] or 1.0, reference["loss"] or 1.0
        return [
            _check(
                "loss_increase",
                metrics["loss"] / before - 1.0,
                limits.max_loss_increase,
                STANDARD_ERRORS
                * math.hypot(metrics["loss_error"], reference["loss_error"])
                / before,
                f"The mean loss is {metrics['loss']:.4g}, the test split's was"
                f" {reference['loss']:.4g}",
            ),
            _check(
                "bias",
                abs(metrics["bias"]) / spread,
                limits.max_bias,
                STANDARD_ERRORS * metrics["rmse"] / math.sqrt(metrics["n"]) / spread,
                f"The mean error is {metrics['bias']:+.4g}, the test labels' standard deviation is"
                f" {spread:.4g}",
            ),
        ]


DECAY: dict[ProblemKind, DecayRules] = {
    "binary": BinaryDecay(),
    "multiclass": MulticlassDecay(),
    "regression": RegressionDecay(),
}
"""The rules by kind of problem."""


def left_open(
    rule: str, why: str, observed: float | None = None, limit: float | None = None
) -> Finding:
    """A question that could not be judged, and why: a phrase."""
    return Finding(
        rule=rule,
        subject=PERFORMANCE,
        observed=observed,
        limit=limit,
        passed=True,
        judged=False,
        reason=why,
    )


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
) -> Finding | None:
    if "auc" not in metrics:
        return None
    errors = [auc_standard_error(side["auc"], *_classes(side)) for side in (metrics, reference)]
    return _check(
        "auc_drop",
        reference["auc"] - metrics["auc"],
        limits.max_auc_drop,
        STANDARD_ERRORS * math.hypot(*errors),
        f"AUC is {metrics['auc']:.3f}, the test split's was {reference['auc']:.3f}",
    )


def _calibration_gap(metrics: Mapping[str, float], limits: Monitoring) -> Finding | None:
    if not metrics:
        return None
    rate = metrics["observed_rate"]
    return _check(
        "calibration_gap",
        abs(metrics["mean_score"] - rate),
        limits.max_calibration_gap,
        STANDARD_ERRORS * math.sqrt(rate * (1.0 - rate) / metrics["n"]),
        f"The mean score is {metrics['mean_score']:.3f} and the observed rate {rate:.3f}",
    )


def _check(rule: str, observed: float, limit: float, noise: float, measured: str) -> Finding:
    return Finding(
        rule=rule,
        subject=PERFORMANCE,
        observed=observed,
        limit=limit,
        noise=noise,
        passed=observed <= limit or observed <= noise,
        reason=f"{measured}: {rule.replace('_', ' ')} {observed:.3f}, limit {limit:.3f}.",
    )


def _classes(metrics: Mapping[str, float]) -> tuple[float, float]:
    positives = metrics["n"] * metrics["observed_rate"]
    return positives, metrics["n"] - positives


def _share_noise(share: float, rows: float) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1.0 - share) / rows)
