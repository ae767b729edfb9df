"""What counts as decay, by kind of problem; `performance` decides what is judged.

Of a binary problem: `auc_drop` (the test split's AUC less the interval's) and `calibration_gap`
(mean score against observed rate). Of several classes: `accuracy_drop` (the test split's accuracy
less the interval's) and `calibration_gap` (the predicted class's mean probability against
accuracy). Of a regression: `loss_increase` (the mean loss over the test split's, less 1) and `bias`
(the absolute mean error in standard deviations of the test labels). `noise` is what chance exceeds
as often as `false_alarms` allows (`certainty`). A check passes up to its limit or its noise,
whichever is more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from include.monitoring.certainty import (
    QUESTIONS,
    auc_standard_error,
    bounds,
    change_error,
    own_error,
    share_error,
)
from include.spec import Monitoring, ProblemKind
from include.stats.clustered import StandardError
from include.verdict import Finding

PERFORMANCE = "performance"
BOUNDS = ("metric_low", "metric_high", "gap_low", "gap_high")
"""The 95 % interval of the headline metric and of the mean answer less what came true."""
Metrics = Mapping[str, float]


class DecayRules(ABC):
    """The rules of one kind of problem."""

    baseline_metrics: ClassVar[tuple[str, ...]]
    """What must be known of the model's own test split."""
    certain: ClassVar[tuple[str, ...]]
    """Whose `<name>_block_error` is read beside it, where the package has it."""

    @abstractmethod
    def checks(self, metrics: Metrics, reference: Metrics, limits: Monitoring) -> list[Finding]:
        """All that can be measured."""

    @abstractmethod
    def intervals(self, metrics: Metrics, reference: Metrics) -> dict[str, float]:
        """`BOUNDS`, as far as they are known, by the standard errors by which `checks` decide."""

    def left_open(self, rows: int, checks: Sequence[Finding]) -> list[Finding]:  # noqa: ARG002  # an AUC may be undefined
        """What enough rows could not be judged by, and why."""
        return []

    def calibration_gap(self, metrics: Metrics) -> float | None:  # noqa: ARG002  # only of a rate
        """Mean score less observed rate."""
        return None


class BinaryDecay(DecayRules):
    """AUC and calibration."""

    baseline_metrics = ("n", "observed_rate", "auc", "brier", "logloss")
    certain = ("auc", "gap")

    def checks(self, metrics: Metrics, reference: Metrics, limits: Monitoring) -> list[Finding]:
        """The AUC where both classes are there, and the calibration of any rows."""
        measured = [
            self._auc_drop(metrics, reference, limits),
            _calibration_gap(self, metrics, reference, limits, "observed_rate", "mean score"),
        ]
        return [check for check in measured if check is not None]

    def left_open(self, rows: int, checks: Sequence[Finding]) -> list[Finding]:
        """An AUC needs both classes."""
        if any(check.rule == "auc_drop" for check in checks):
            return []
        return [left_open("auc_drop", f"all {rows} labelled rows are of one class")]

    def intervals(self, metrics: Metrics, reference: Metrics) -> dict[str, float]:
        """Of the AUC and of the gap."""
        if not metrics:
            return {}
        gap = own_error("gap", metrics, reference, share_error(metrics, "observed_rate"))
        result = bounds("gap", metrics["mean_score"] - metrics["observed_rate"], gap)
        if "auc" in metrics:
            error = own_error("auc", metrics, reference, auc_standard_error(metrics))
            result |= bounds("metric", metrics["auc"], error, 0.0, 1.0)
        return result

    def calibration_gap(self, metrics: Metrics) -> float | None:
        """Defined for any rows."""
        return metrics["mean_score"] - metrics["observed_rate"] if metrics.get("n") else None

    def _auc_drop(self, metrics: Metrics, reference: Metrics, limits: Monitoring) -> Finding | None:
        if "auc" not in metrics:
            return None
        independent = [auc_standard_error(side) for side in (metrics, reference)]
        return _check(
            "auc_drop",
            reference["auc"] - metrics["auc"],
            limits.max_auc_drop,
            change_error("auc", metrics, reference, *independent),
            limits,
            f"AUC is {metrics['auc']:.3f}{band(self.intervals(metrics, reference), 'metric')},"
            f" the test split's was {reference['auc']:.3f}",
        )


class MulticlassDecay(DecayRules):
    """Accuracy, and calibration of the predicted class."""

    baseline_metrics = ("n", "accuracy", "mean_score", "ece")
    certain = ("accuracy", "gap")

    def checks(self, metrics: Metrics, reference: Metrics, limits: Monitoring) -> list[Finding]:
        """The checks on metrics of labelled rows (`accuracy`, `mean_score`, `n`); none without
        rows.
        """
        answer = "predicted classes' mean probability"
        gap = _calibration_gap(self, metrics, reference, limits, "accuracy", answer)
        if gap is None:
            return []
        accuracy = metrics["accuracy"]
        independent = [share_error(side, "accuracy") for side in (metrics, reference)]
        drop = _check(
            "accuracy_drop",
            reference["accuracy"] - accuracy,
            limits.max_accuracy_drop,
            change_error("accuracy", metrics, reference, *independent),
            limits,
            f"Accuracy is {accuracy:.3f}{band(self.intervals(metrics, reference), 'metric')}, the"
            f" test split's was {reference['accuracy']:.3f}",
        )
        return [drop, gap]

    def intervals(self, metrics: Metrics, reference: Metrics) -> dict[str, float]:
        """Of the accuracy and of the gap."""
        if not metrics:
            return {}
        independent = share_error(metrics, "accuracy")
        accuracy, gap = (
            own_error(name, metrics, reference, independent) for name in ("accuracy", "gap")
        )
        return {
            **bounds("metric", metrics["accuracy"], accuracy, 0.0, 1.0),
            **bounds("gap", metrics["mean_score"] - metrics["accuracy"], gap),
        }


class RegressionDecay(DecayRules):
    """Loss and bias."""

    baseline_metrics = ("n", "spread", "rmse", "mae", "bias", "loss", "loss_error")
    certain = ("loss", "bias", "mse")

    def checks(self, metrics: Metrics, reference: Metrics, limits: Monitoring) -> list[Finding]:
        """The checks on metrics of labelled rows (`loss`, `loss_error`, `bias`, `rmse`, `n`); none
        without rows.
        """
        if not metrics:
            return []
        spread, before = reference["spread"] or 1.0, reference["loss"] or 1.0
        independent = metrics["loss_error"], reference["loss_error"]
        return [
            _check(
                "loss_increase",
                metrics["loss"] / before - 1.0,
                limits.max_loss_increase,
                change_error("loss", metrics, reference, *independent, unit=before),
                limits,
                f"The mean loss is {metrics['loss']:.4g}, the test split's was"
                f" {reference['loss']:.4g}",
            ),
            _check(
                "bias",
                abs(metrics["bias"]) / spread,
                limits.max_bias,
                own_error("bias", metrics, reference, _of_bias(metrics), unit=spread),
                limits,
                f"The mean error is {metrics['bias']:+.4g}"
                f"{band(self.intervals(metrics, reference), 'gap', '.4g')}, the test labels'"
                f" standard deviation is {spread:.4g}",
            ),
        ]

    def intervals(self, metrics: Metrics, reference: Metrics) -> dict[str, float]:
        """Of the RMSE, whose square is a mean, and of the bias."""
        if not metrics:
            return {}
        result = bounds(
            "gap", metrics["bias"], own_error("bias", metrics, reference, _of_bias(metrics))
        )
        if "mse_block_error" in metrics:
            error = own_error("mse", metrics, reference, 0.0)
            squares = bounds("metric", metrics["rmse"] ** 2, error, 0.0)
            result |= {name: math.sqrt(square) for name, square in squares.items()}
        return result


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


def band(intervals: Mapping[str, float], name: str, form: str = ".3f") -> str:
    """` (0.607 to 0.633, 95 %)`, short, for it is read in notes; nothing where it is not known."""
    if f"{name}_low" not in intervals:
        return ""
    low, high = (format(intervals[f"{name}_{end}"], form) for end in ("low", "high"))
    return f" ({low} to {high}, 95 %)"


def _calibration_gap(
    rules: DecayRules,
    metrics: Metrics,
    reference: Metrics,
    limits: Monitoring,
    rate: str,
    answer: str,
) -> Finding | None:
    """The mean `answer` against the metric that says how often it came true."""
    if not metrics:
        return None
    gap = metrics["mean_score"] - metrics[rate]
    return _check(
        "calibration_gap",
        abs(gap),
        limits.max_calibration_gap,
        own_error("gap", metrics, reference, share_error(metrics, rate)),
        limits,
        f"The {answer} is {metrics['mean_score']:.3f} and the {rate.replace('_', ' ')}"
        f" {metrics[rate]:.3f}, a gap of {gap:+.3f}"
        f"{band(rules.intervals(metrics, reference), 'gap', '+.3f')}",
    )


def _check(
    rule: str,
    observed: float,
    limit: float,
    error: StandardError | None,
    limits: Monitoring,
    measured: str,
) -> Finding:
    if error is None:
        why = "all labelled rows lie in one block, and the package does not say how blocks vary"
        return left_open(rule, why, observed, limit)
    noise = error.within(limits.false_alarms / QUESTIONS)
    return Finding(
        rule=rule,
        subject=PERFORMANCE,
        observed=observed,
        limit=limit,
        noise=noise,
        passed=observed <= limit or observed <= noise,
        reason=f"{measured}: {rule.replace('_', ' ')} {observed:.3f}, limit {limit:.3f}.",
    )


def _of_bias(metrics: Metrics) -> float:
    return metrics["rmse"] / math.sqrt(metrics["n"])
