"""The gates on probabilities of several classes: overall, and in every slice."""

from __future__ import annotations

import numpy as np

from include.evaluation.gates.base import TEST, Gate, GateInput, too_small, undeclared_slices
from include.evaluation.gates.calibration import explained_error
from include.verdict import Finding, at_least, at_most


def quality(candidate: GateInput) -> list[Finding]:
    """On the test split: log loss, macro AUC, accuracy and Brier score within their thresholds."""
    metrics = candidate.metrics
    return [
        at_most(
            "logloss",
            "logloss",
            candidate.threshold("max_logloss"),
            metrics.get("test.logloss"),
            subject=TEST,
        ),
        at_least(
            "auc", "auc", candidate.threshold("min_auc"), metrics.get("test.auc"), subject=TEST
        ),
        at_least(
            "accuracy",
            "accuracy",
            candidate.threshold("min_accuracy"),
            metrics.get("test.accuracy"),
            subject=TEST,
        ),
        at_most(
            "brier",
            "brier",
            candidate.threshold("max_brier"),
            metrics.get("test.brier"),
            subject=TEST,
        ),
    ]


def calibration(candidate: GateInput) -> list[Finding]:
    """The predicted class's probability is as often right as it says: its expected calibration
    error is within the threshold.
    """
    return [
        at_most(
            "calibration",
            "ece",
            candidate.threshold("max_calibration_error"),
            candidate.metrics.get("test.ece"),
            subject=TEST,
        )
    ]


def slice_brier(candidate: GateInput) -> list[Finding]:
    """No slice's Brier skill against its own class shares is below `min_slice_brier_skill`."""
    limit = candidate.limits.min_slice_brier_skill
    rows = undeclared_slices(candidate, "slice_brier", "brier_skill", limit)
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("slice_brier", "brier_skill", limit, part))
        else:
            rows.append(
                at_least(
                    "slice_brier",
                    "brier_skill",
                    limit,
                    candidate.of_slice(part, "brier_skill"),
                    subject=TEST,
                    part=part.label,
                )
            )
    return rows


def slice_calibration(candidate: GateInput) -> list[Finding]:
    """No slice's calibration error exceeds what its size explains by more than
    `max_slice_calibration_excess`.
    """
    limit = candidate.limits.max_slice_calibration_excess
    rows = undeclared_slices(candidate, "slice_calibration", "ece_excess", limit)
    if candidate.scores is None:
        reason = candidate.problem or "the candidate cannot be scored"
        return [
            *rows,
            Finding(
                rule="slice_calibration",
                metric="ece_excess",
                subject=TEST,
                limit=limit,
                passed=False,
                reason=reason,
            ),
        ]
    certainty = np.clip(candidate.scores.max(axis=1), 0.0, 1.0)
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("slice_calibration", "ece_excess", limit, part))
            continue
        value = candidate.of_slice(part, "ece")
        excess = (
            None
            if value is None
            else value
            - explained_error(certainty[part.mask], seed=candidate.use_case.training.seed)
        )
        rows.append(
            at_most("slice_calibration", "ece_excess", limit, excess, subject=TEST, part=part.label)
        )
    return rows


MULTICLASS_GATES: tuple[Gate, ...] = (quality, calibration, slice_brier, slice_calibration)
