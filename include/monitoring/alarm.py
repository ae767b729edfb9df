"""The alarm policy: from what was measured to a verdict with its reasons.

A pure function; reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.spec import Monitoring

SHOWN_INPUTS = 5


def policy(
    limits: Monitoring, drift: Mapping[str, Any], performance: Mapping[str, Any]
) -> dict[str, Any]:
    """`{"alarm", "verdict", "reasons", "not_judged"}` from the results of `detect_drift` and
    `evaluate_performance`.

    `verdict` names what was found (`none`, `drift`, `performance`, `drift+performance`); `alarm` is
    whether one of them is in `limits.alarm_on`. `reasons` holds a sentence for each finding;
    `not_judged` one for each question that had too few rows: a verdict `none` is an all-clear only
    where it is empty.
    """
    reasons_by_kind: dict[str, list[str]] = {}
    if drift["verdict"] == "drifted":
        reasons_by_kind["drift"] = _drift_reasons(drift)
    if performance["findings"]:
        reasons_by_kind["performance"] = [
            _performance_reason(finding) for finding in performance["findings"]
        ]
    not_judged = list(performance["not_judged"])
    if not drift["judged"]:
        not_judged.insert(
            0,
            f"drift: {drift['rows']} predictions are fewer than the minimum of"
            f" {limits.minimum_rows}",
        )
    return {
        "alarm": any(kind in limits.alarm_on for kind in reasons_by_kind),
        "verdict": "+".join(reasons_by_kind) or "none",
        "reasons": [reason for reasons in reasons_by_kind.values() for reason in reasons],
        "not_judged": [f"Not judged: {text}." for text in not_judged],
    }


def _drift_reasons(drift: Mapping[str, Any]) -> list[str]:
    measured = {column["column"]: column for column in drift["columns"]}
    drifted = sorted(
        (measured[name] for name in drift["drifted_inputs"]),
        key=lambda column: -float(column["psi"]),
    )
    overall = f"{len(drifted)} of {drift['inputs']} inputs have drifted from the training data"
    reasons = [f"{overall}: a share of {drift['drifted_share']:.2f}, limit {drift['limit']:.2f}."]
    reasons += [
        f"Input {column['column']} has a PSI of {column['psi']:.3f} on {column['rows']} rows, limit"
        f" {column['limit']:.3f}."
        for column in drifted[:SHOWN_INPUTS]
    ]
    if len(drifted) > SHOWN_INPUTS:
        reasons.append(f"{len(drifted) - SHOWN_INPUTS} more inputs are above the limit.")
    return reasons


def _performance_reason(finding: Mapping[str, Any]) -> str:
    if finding["metric"] == "auc_drop":
        return (
            f"AUC is {finding['auc']:.3f}, {finding['observed']:.3f} below the"
            f" {finding['test_auc']:.3f} of the model's test split, limit {finding['limit']:.3f}."
        )
    if "told" in finding:
        return (
            f"{finding['told']}: {finding['metric'].replace('_', ' ')} {finding['observed']:.3f},"
            f" limit {finding['limit']:.3f}."
        )
    return (
        f"The mean score is {finding['mean_score']:.3f} and the observed rate"
        f" {finding['observed_rate']:.3f}: a gap of {finding['observed']:.3f}, limit"
        f" {finding['limit']:.3f}."
    )
