"""What the gates allow beside what raises monitoring's alarm, on the page of a version and of a
run: where the two differ a sentence says why, and whether this version starts above the alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.registry.page_tables import table
from include.spec import UseCase

HEADINGS = ("question", "metric", "this version", "gate allows", "alarm")
NONE = "-"

Row = tuple[object, ...]


@dataclass(frozen=True)
class Offset:
    """A distance from the truth that gate and alarm both bound: `observed` of this version on its
    own test split, what the gate allows, above what monitoring alarms, and why the two differ.
    """

    name: str
    observed: float
    allowed: float
    alarm: float
    why: str

    @property
    def sentence(self) -> str:
        """Whether gate and alarm agree, and if not, why."""
        if self.observed > self.alarm:
            return (
                f"**This version starts above the alarm**: on its own test split its {self.name} is"
                f" {self.observed:.3g}; the gate allows {self.allowed:g}, monitoring alarms above"
                f" {self.alarm:.3g}. Expect an alarm at once, or lower the gate's limit."
            )
        if self.allowed <= self.alarm:
            return "Gate and alarm agree: what the gate lets through does not raise the alarm."
        return (
            f"The gate is wider than the alarm ({self.allowed:g} against {self.alarm:.3g}):"
            f" {self.why}. This version's own {self.name}, {self.observed:.3g}, is below the alarm."
        )


def promises(use_case: UseCase, metrics: Mapping[str, float]) -> str | None:
    """A table of the questions that a gate asks before a release and monitoring after it, and one
    sentence; `None` without the metrics.

    `metrics` are the training run's.
    """
    calibration = _calibration(use_case, metrics) or _bias(use_case, metrics)
    if calibration is None:
        return None
    rows, offset = calibration
    more = [_auc(use_case, metrics), _accuracy(use_case, metrics), _loss(use_case, metrics)]
    shown = table(HEADINGS, [*rows, *(row for row in more if row is not None)])
    return f"{shown}\n\n{offset.sentence}"


def _calibration(
    use_case: UseCase, metrics: Mapping[str, float]
) -> tuple[list[Row], Offset] | None:
    """Of probabilities: the gate bounds the gaps of bins, the alarm the gap of all rows."""
    allowed = use_case.problem.thresholds.get("max_calibration_error")
    rate = metrics.get("test.observed_rate", metrics.get("test.accuracy"))
    score = metrics.get("test.mean_score")
    if allowed is None or rate is None or score is None:
        return None
    offset = Offset(
        "mean-score gap",
        abs(score - rate),
        allowed,
        use_case.monitoring.max_calibration_gap,
        "ece adds up the gaps of bins, which in the alarm's gap offset one another",
    )
    rows: list[Row] = [
        ("calibration", "ece", metrics.get("test.ece"), f"at most {allowed:g}", NONE),
        (
            *("calibration", offset.name, offset.observed),
            *(f"at most {allowed:g} (ece)", f"above {offset.alarm:g}"),
        ),
    ]
    return rows, offset


def _bias(use_case: UseCase, metrics: Mapping[str, float]) -> tuple[list[Row], Offset] | None:
    """Of a number: both bound the mean error, the gate in the label's unit, the alarm in standard
    deviations of the test labels.
    """
    limits, share = use_case.problem.thresholds, use_case.monitoring.max_bias
    bias, spread = metrics.get("test.bias"), metrics.get("test.spread")
    if "max_bias" not in limits or bias is None or spread is None:
        return None
    offset = Offset(
        "mean error",
        abs(bias),
        limits["max_bias"],
        share * (spread or 1.0),
        "the gate's limit is the use case's own in the label's unit, the alarm's is"
        f" {share:g} standard deviations of the test labels",
    )
    most = f"at most {limits['max_decile_error']:g}"
    rows: list[Row] = [
        ("bias", "decile_error", metrics.get("test.decile_error"), most, NONE),
        (
            *("bias", offset.name, offset.observed),
            *(f"at most {offset.allowed:g}", f"above {offset.alarm:.4g}"),
        ),
    ]
    return rows, offset


def _auc(use_case: UseCase, metrics: Mapping[str, float]) -> Row | None:
    auc, least = metrics.get("test.auc"), use_case.problem.thresholds.get("min_auc")
    # Of several classes monitoring has one probability a row, and no AUC.
    if auc is None or least is None or not use_case.problem.label_is_rate:
        return None
    drop = use_case.monitoring.max_auc_drop
    below = f"below {auc - drop:.4g} ({drop:g} less)"
    return ("ranking", "auc", auc, f"at least {least:g}", below)


def _accuracy(use_case: UseCase, metrics: Mapping[str, float]) -> Row | None:
    share, least = metrics.get("test.accuracy"), use_case.problem.thresholds.get("min_accuracy")
    if share is None or least is None:
        return None
    drop = use_case.monitoring.max_accuracy_drop
    below = f"below {share - drop:.4g} ({drop:g} less)"
    return ("accuracy", "accuracy", share, f"at least {least:g}", below)


def _loss(use_case: UseCase, metrics: Mapping[str, float]) -> Row | None:
    loss, most = metrics.get("test.rmse"), use_case.problem.thresholds.get("max_rmse")
    if loss is None or most is None:
        return None
    increase = use_case.monitoring.max_loss_increase
    decisive = metrics.get("test.loss", loss**2)
    above = f"loss above {decisive * (1.0 + increase):.4g} ({increase:.0%} more)"
    return ("error", "rmse", loss, f"at most {most:g}", above)
