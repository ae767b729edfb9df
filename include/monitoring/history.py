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
    for; of drift `drift_effect` and `drifted_share` raise it together.
    """
    if len(measured) < LEAST_INTERVALS:
        return []
    return [
        *_drift_proposals(use_case.monitoring, measured),
        *_performance_proposals(use_case.monitoring, measured),
    ]


def _drift_proposals(limits: Monitoring, measured: Sequence[Measured]) -> list[Proposal]:
    values = [
        (column.effect, column.column, part)
        for part in measured
        for column in part.inputs
        if column.effect is not None
    ]
    if not values:
        return []
    inputs = len(measured[0].inputs)
    typical = _quantile([effect for effect, _, _ in values])
    largest, name, when = max(values, key=lambda value: value[0])
    effect = min(1.0, max(rounded_up(typical), LEAST_LIMIT, limits.minimum_effect))
    shares = _drifted_shares(measured, effect, limits)
    # One input is never the population.
    share = min(1.0, rounded_up(max(_quantile(shares), 1.0 / inputs)))
    declared = _drifted_shares(measured, limits.drift_effect, limits)
    alarms = sum(share > limits.drifted_share for share in declared)
    return [
        Proposal(
            WHERE,
            "drift_effect",
            f"{limits.drift_effect:g}",
            f"{effect:g}",
            f"95 % of {len(values)} effects ({inputs} inputs in {len(measured)} intervals) are at"
            f" most {typical:.4g}; the largest is {largest:.4g}, of {name} in the interval from"
            f" {when.interval.start:%Y-%m-%d %H:%M}",
            alarms,
        ),
        Proposal(
            WHERE,
            "drifted_share",
            f"{limits.drifted_share:g}",
            f"{share:g}",
            f"{_of_intervals(shares, measured)}, with drift_effect={effect:g}",
            alarms,
        ),
    ]


def _drifted_shares(measured: Sequence[Measured], effect: float, limits: Monitoring) -> list[float]:
    """Of each interval, as monitoring counts: inputs that surely moved by so much, in enough of the
    last measured intervals.
    """
    far = [
        frozenset(
            item.column
            for item in part.inputs
            if item.effect is not None
            and item.corrected_p is not None
            and item.effect >= effect
            and item.corrected_p <= limits.false_discovery
        )
        for part in measured
    ]
    shares = []
    for place, part in enumerate(measured):
        last = far[max(0, place - limits.sliding_windows + 1) : place + 1]
        often = [
            name
            for name in far[place]
            if sum(name in names for names in last) >= limits.persistent_windows
        ]
        shares.append(len(often) / len(part.inputs))
    return shares


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
