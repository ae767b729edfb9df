"""The gates on probabilities: does what is called 30 % happen three times in ten, overall and in
every slice?
"""

from __future__ import annotations

import numpy as np

from include.evaluation.gates.base import TEST, GateInput, too_small, undeclared_slices
from include.stats.metrics import CALIBRATION_BINS
from include.verdict import Finding, at_least, at_most

DRAWS = 200


def calibration(candidate: GateInput) -> list[Finding]:
    """Expected calibration error on the test split is at most `max_calibration_error`."""
    return [
        at_most(
            "calibration",
            "ece",
            candidate.threshold("max_calibration_error"),
            candidate.metrics.get("test.ece"),
            subject=TEST,
        )
    ]


def brier(candidate: GateInput) -> list[Finding]:
    """Brier score on the test split is at most `max_brier`."""
    return [
        at_most(
            "brier",
            "brier",
            candidate.threshold("max_brier"),
            candidate.metrics.get("test.brier"),
            subject=TEST,
        )
    ]


def slice_brier(candidate: GateInput) -> list[Finding]:
    """No slice's Brier skill, 1 - Brier / (r (1 - r)), is below `min_slice_brier_skill`.

    r is the slice's own observed rate, known only afterwards: 0 is as good as having known it. So a
    slice in which the event is common, whose Brier score is high whatever the model, is not
    punished for that.
    """
    limit = candidate.limits.min_slice_brier_skill
    rows = undeclared_slices(candidate, "slice_brier", "brier_skill", limit)
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("slice_brier", "brier_skill", limit, part))
            continue
        value, rate = (candidate.of_slice(part, name) for name in ("brier", "observed_rate"))
        if rate in {0.0, 1.0}:
            reason = f"the slice holds one class only (rate {rate:g}): its skill is undefined"
            rows.append(
                Finding(
                    rule="slice_brier",
                    metric="brier_skill",
                    subject=TEST,
                    part=part.label,
                    limit=limit,
                    passed=False,
                    reason=reason,
                )
            )
            continue
        skill = None if value is None or rate is None else 1.0 - value / (rate * (1.0 - rate))
        rows.append(
            at_least("slice_brier", "brier_skill", limit, skill, subject=TEST, part=part.label)
        )
    return rows


def slice_calibration(candidate: GateInput) -> list[Finding]:
    """No slice's calibration error exceeds what its size explains by more than
    `max_slice_calibration_excess`.

    Few rows give an error even to perfect probabilities. What they explain is the mean error of
    labels drawn from the scores themselves (consistency resampling; Broecker and Smith, 2007,
    "Increasing the Reliability of Reliability Diagrams").
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
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("slice_calibration", "ece_excess", limit, part))
            continue
        value = candidate.of_slice(part, "ece")
        excess = (
            None
            if value is None
            else value
            - explained_error(candidate.scores[part.mask], seed=candidate.use_case.training.seed)
        )
        rows.append(
            at_most("slice_calibration", "ece_excess", limit, excess, subject=TEST, part=part.label)
        )
    return rows


def explained_error(scores: np.ndarray, *, seed: int, draws: int = DRAWS) -> float:
    """Mean expected calibration error of labels drawn from the scores, shape (rows,): what perfect
    probabilities would show.
    """
    order = np.argsort(scores, kind="stable")
    drawn = (np.random.default_rng(seed).random((draws, len(scores))) < scores)[:, order]
    sizes = np.array(
        [len(group) for group in np.array_split(order, CALIBRATION_BINS) if len(group)]
    )
    starts = np.cumsum(sizes) - sizes
    happened = np.add.reduceat(drawn, starts, axis=1, dtype=np.float64)
    expected = np.add.reduceat(scores[order], starts)
    return float(np.abs(happened - expected).sum(axis=1).mean() / len(scores))


CALIBRATION_GATES = (brier, calibration, slice_brier, slice_calibration)
