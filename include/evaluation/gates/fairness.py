"""The gate on decisions: between the declared groups, rates of positive decisions and of both kinds
of error stay close (fairlearn).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.errors import DataError
from include.evaluation.gates.base import TEST, GateInput
from include.evaluation.slices import MISSING, column_values, shown
from include.spec import ProblemKind
from include.spec.expectations import FairnessGroups
from include.verdict import Finding

COMPARABLE = 2


def fairness(candidate: GateInput) -> list[Finding]:
    """Per declared grouping: difference and ratio of selection, true-positive and false-positive
    rate of the decisions.

    Of a regression instead the difference of the groups' mean errors.
    """
    rows: list[Finding] = []
    for declared in candidate.limits.fairness:
        if candidate.scores is None or candidate.model is None or candidate.test is None:
            reason = candidate.problem or "the candidate cannot be scored"
            rows.append(
                Finding(
                    rule="fairness",
                    metric="groups",
                    subject=TEST,
                    part=declared.column,
                    passed=False,
                    reason=reason,
                )
            )
            continue
        try:
            values = column_values(declared.column, candidate.model.transform, candidate.test)
        except DataError as error:
            rows.append(
                Finding(
                    rule="fairness",
                    metric="groups",
                    subject=TEST,
                    part=declared.column,
                    passed=False,
                    reason=str(error),
                )
            )
            continue
        groups = members(declared, values)
        rows += COMPARISONS[candidate.use_case.problem.kind](
            candidate, declared, groups, candidate.scores
        )
    return rows


def members(declared: FairnessGroups, values: np.ndarray) -> np.ndarray:
    """The name of each row's group, an object array of shape (rows,); None for rows of none.

    `values` are strings and None. Without declared groups every value is one, named as `shown`; a
    declared group names the missing value `(missing)`.
    """
    groups = np.empty(len(values), dtype=object)
    if not declared.groups:
        groups[:] = [shown(value) for value in values]
        return groups
    names = {value: name for name, group in declared.groups.items() for value in group}
    groups[:] = [names.get(shown(value) if value in (None, MISSING) else value) for value in values]
    return groups


FAIRNESS_GATES = (fairness,)


@dataclass(frozen=True)
class _Rate:
    """One rate: the rows that it is about (boolean, shape (rows,)), how many of them a group needs,
    and its two limits.
    """

    name: str
    rows: np.ndarray
    minimum: int
    max_difference: float
    min_ratio: float


def _grouping(
    declared: FairnessGroups, groups: np.ndarray, labels: np.ndarray, decisions: np.ndarray
) -> list[Finding]:
    rates = (
        _Rate(
            "selection",
            labels >= 0,
            declared.minimum_rows,
            declared.max_selection_difference,
            declared.min_selection_ratio,
        ),
        _Rate(
            "true_positive",
            labels == 1,
            declared.minimum_class_rows,
            declared.max_true_positive_difference,
            declared.min_true_positive_ratio,
        ),
        _Rate(
            "false_positive",
            labels == 0,
            declared.minimum_class_rows,
            declared.max_false_positive_difference,
            declared.min_false_positive_ratio,
        ),
    )
    rows, enough = _judged_groups(declared, groups)
    for rate in rates:
        judged = [
            name for name in enough if int((rate.rows & (groups == name)).sum()) >= rate.minimum
        ]
        chosen = rate.rows & _among(groups, judged)
        rows += _compared(declared, rate, judged, groups[chosen], decisions[chosen])
    return rows


def _judged_groups(declared: FairnessGroups, groups: np.ndarray) -> tuple[list[Finding], list[str]]:
    """The rows about groups that are too small, and the groups that are not."""
    counts = {
        name: int((groups == name).sum()) for name in sorted(declared.groups or {*groups.tolist()})
    }
    rows = [
        _too_small(declared, name, count)
        for name, count in counts.items()
        if count < declared.minimum_rows
    ]
    return rows, [name for name, count in counts.items() if count >= declared.minimum_rows]


def _errors(declared: FairnessGroups, groups: np.ndarray, errors: np.ndarray) -> list[Finding]:
    """The largest less the smallest mean error (score less label) of the groups, by fairlearn."""
    from fairlearn.metrics import MetricFrame, mean_prediction

    limit, metric = declared.max_error_difference, "error_difference"
    rows, judged = _judged_groups(declared, groups)
    if len(judged) < COMPARABLE or limit is None:
        reason = (
            f"fewer than two groups are large enough to compare: {judged}"
            if limit is not None
            else "the threshold is missing"
        )
        return [
            *rows,
            Finding(
                rule="fairness",
                metric=metric,
                subject=TEST,
                part=declared.column,
                limit=limit,
                passed=False,
                reason=reason,
            ),
        ]
    chosen = _among(groups, judged)
    frame = MetricFrame(
        metrics=mean_prediction,
        y_true=errors[chosen],
        y_pred=errors[chosen],
        sensitive_features=groups[chosen],
    )
    difference = float(frame.difference())
    reason = ", ".join(f"{name} {frame.by_group[name]:+.4g}" for name in judged)
    return [
        *rows,
        Finding(
            rule="fairness",
            metric=metric,
            subject=TEST,
            part=declared.column,
            limit=limit,
            observed=difference,
            passed=difference <= limit,
            reason=reason,
        ),
    ]


def _among(groups: np.ndarray, names: list[str]) -> np.ndarray:
    return np.array([group in names for group in groups], dtype=bool)


def _too_small(declared: FairnessGroups, name: str, count: int) -> Finding:
    reason = f"too small to judge: {count} rows" if count else "the declared group has no row"
    return Finding(
        rule="fairness",
        metric="group_rows",
        subject=TEST,
        part=f"{declared.column}={name}",
        limit=float(declared.minimum_rows),
        observed=float(count),
        passed=count > 0,
        reason=reason,
    )


def _compared(
    declared: FairnessGroups,
    rate: _Rate,
    judged: list[str],
    groups: np.ndarray,
    decisions: np.ndarray,
) -> list[Finding]:
    """Every rate is the mean decision over the rows that it is about: fairlearn's selection rate
    among all, positives or negatives.
    """
    from fairlearn.metrics import MetricFrame, selection_rate

    def finding(metric: str, limit: float, **judged_as: Any) -> Finding:
        return Finding(
            rule="fairness",
            metric=f"{rate.name}_{metric}",
            subject=TEST,
            part=declared.column,
            limit=limit,
            **judged_as,
        )

    if len(judged) < COMPARABLE:
        reason = f"fewer than two groups are large enough to compare: {judged}"
        return [
            finding("difference", rate.max_difference, passed=False, reason=reason),
            finding("ratio", rate.min_ratio, passed=False, reason=reason),
        ]
    frame = MetricFrame(
        metrics=selection_rate, y_true=decisions, y_pred=decisions, sensitive_features=groups
    )
    reason = ", ".join(f"{name} {frame.by_group[name]:.3f}" for name in judged)
    difference, largest = float(frame.difference()), float(frame.group_max())
    rare = largest < declared.minimum_rate
    ratio = float(frame.ratio()) if largest > 0.0 else 1.0
    explanation = (
        f"{reason}; all below {declared.minimum_rate:g}: judged by the difference"
        if rare
        else reason
    )
    return [
        finding(
            "difference",
            rate.max_difference,
            observed=difference,
            passed=difference <= rate.max_difference,
            reason=reason,
        ),
        finding(
            "ratio",
            rate.min_ratio,
            observed=ratio,
            passed=rare or ratio >= rate.min_ratio,
            reason=explanation,
        ),
    ]


def _decisions(
    candidate: GateInput, declared: FairnessGroups, groups: np.ndarray, scores: np.ndarray
) -> list[Finding]:
    problem = candidate.problem_strategy
    return _grouping(
        declared, groups, problem.positives(candidate.labels), problem.decisions(scores)
    )


def _mean_errors(
    candidate: GateInput, declared: FairnessGroups, groups: np.ndarray, scores: np.ndarray
) -> list[Finding]:
    return _errors(declared, groups, scores - candidate.labels)


COMPARISONS: dict[
    ProblemKind, Callable[[GateInput, FairnessGroups, np.ndarray, np.ndarray], list[Finding]]
] = {"binary": _decisions, "multiclass": _decisions, "regression": _mean_errors}
"""What is compared between groups, by kind of problem."""
