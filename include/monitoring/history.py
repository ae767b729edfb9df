"""What the limits of monitoring would have to be for a use case's own history, so that an honest
interval raises no alarm: a quantile of what a back-test measured, with its figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from include.monitoring.backtest import Measured
from include.quality.history import Proposal, rounded_up
from include.spec import Monitoring, UseCase
from include.verdict import Finding

LEAST_INTERVALS = 3
"""Fewer intervals say nothing of what is usual."""
QUANTILE = 0.95
"""A limit is what 19 of 20 measured values do not exceed."""
LEAST_LIMIT = 0.01
LIMITS: Mapping[str, str] = {
    "auc_drop": "max_auc_drop",
    "accuracy_drop": "max_accuracy_drop",
    "calibration_gap": "max_calibration_gap",
    "loss_increase": "max_loss_increase",
    "bias": "max_bias",
}
"""The field of `Monitoring` that bounds each check of performance."""
UNBOUNDED = ("max_loss_increase",)
"""Limits that may lie above 1."""
WHERE = "monitoring"


def monitoring_proposals(use_case: UseCase, measured: Sequence[Measured]) -> list[Proposal]:
    """The limits of `monitoring` that the intervals ask for; none from fewer than
    `LEAST_INTERVALS`.

    A proposal's `breaks` counts the intervals that the declared limit would have raised an alarm
    for; of drift `feature_psi` and `drifted_share` raise it together.
    """
    if len(measured) < LEAST_INTERVALS:
        return []
    return [
        *_drift_proposals(use_case.monitoring, measured),
        *_performance_proposals(use_case.monitoring, measured),
    ]


def _drift_proposals(limits: Monitoring, measured: Sequence[Measured]) -> list[Proposal]:
    values = [(column.psi, column.column, part) for part in measured for column in part.inputs]
    if not values:
        return []
    inputs = len(measured[0].inputs)
    typical = _quantile([psi for psi, _, _ in values])
    largest, name, when = max(values, key=lambda value: value[0])
    feature_psi = max(rounded_up(typical), LEAST_LIMIT)
    shares = [_drifted_share(part, feature_psi) for part in measured]
    # One input is never the population.
    share = min(1.0, rounded_up(max(_quantile(shares), 1.0 / inputs)))
    declared = [_drifted_share(part, limits.feature_psi) for part in measured]
    alarms = sum(one > limits.drifted_share for one in declared)
    return [
        Proposal(
            WHERE,
            "feature_psi",
            f"{limits.feature_psi:g}",
            f"{feature_psi:g}",
            f"95 % of {len(values)} values ({inputs} inputs in {len(measured)} intervals) are at"
            f" most {typical:.4g}; the largest is {largest:.4g}, of {name} in the interval from"
            f" {when.interval.start:%Y-%m-%d %H:%M}",
            alarms,
        ),
        Proposal(
            WHERE,
            "drifted_share",
            f"{limits.drifted_share:g}",
            f"{share:g}",
            f"{_of_intervals(shares, measured)}, with feature_psi={feature_psi:g}",
            alarms,
        ),
    ]


def _drifted_share(measured: Measured, feature_psi: float) -> float:
    """As monitoring counts: above the limit and above the noise."""
    drifted = [item for item in measured.inputs if item.psi > max(feature_psi, item.noise)]
    return len(drifted) / len(measured.inputs)


def _performance_proposals(limits: Monitoring, measured: Sequence[Measured]) -> list[Proposal]:
    by_rule: dict[str, list[tuple[Measured, Finding, float]]] = {}
    for part in measured:
        for finding in part.performance:
            if isinstance(finding.observed, int | float):
                value = float(finding.observed)
                by_rule.setdefault(finding.rule, []).append((part, finding, value))
    proposals = []
    for rule, checks in by_rule.items():
        limit = LIMITS.get(rule)
        if limit is None or len(checks) < LEAST_INTERVALS:
            continue
        values = [value for _, _, value in checks]
        proposed = max(rounded_up(_quantile(values)), LEAST_LIMIT)
        proposals.append(
            Proposal(
                WHERE,
                limit,
                f"{getattr(limits, limit):g}",
                f"{proposed if limit in UNBOUNDED else min(1.0, proposed):g}",
                _of_intervals(values, [part for part, _, _ in checks]),
                sum(not finding.passed for _, finding, _ in checks),
            )
        )
    return proposals


def _of_intervals(values: Sequence[float], measured: Sequence[Measured]) -> str:
    place = int(np.argmax(values))
    return (
        f"95 % quantile {_quantile(values):.4g} of {len(values)} intervals, the largest"
        f" {values[place]:.4g} in the interval from"
        f" {measured[place].interval.start:%Y-%m-%d %H:%M}"
    )


def _quantile(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.quantile(finite, QUANTILE)) if finite else 0.0
