"""The gates on values: how large the errors are, and whether they cancel out overall, by size of
the prediction and in every slice.
"""

from __future__ import annotations

from include.evaluation.gates.base import TEST, Gate, GateInput, too_small, undeclared_slices
from include.verdict import Finding, at_least, at_most


def errors(candidate: GateInput) -> list[Finding]:
    """On the test split: RMSE and MAE are small enough, R2 is large enough."""
    metrics = candidate.metrics
    return [
        at_most(
            "errors",
            "rmse",
            candidate.threshold("max_rmse"),
            metrics.get("test.rmse"),
            subject=TEST,
        ),
        at_most(
            "errors", "mae", candidate.threshold("max_mae"), metrics.get("test.mae"), subject=TEST
        ),
        at_least(
            "errors", "r2", candidate.threshold("min_r2"), metrics.get("test.r2"), subject=TEST
        ),
    ]


def calibration(candidate: GateInput) -> list[Finding]:
    """The mean error is near 0: over all rows (`max_bias`) and over each tenth of the rows by
    prediction (`max_decile_error`).
    """
    bias = candidate.metrics.get("test.bias")
    return [
        at_most(
            "calibration",
            "bias",
            candidate.threshold("max_bias"),
            None if bias is None else abs(bias),
            subject=TEST,
        ),
        at_most(
            "calibration",
            "decile_error",
            candidate.threshold("max_decile_error"),
            candidate.metrics.get("test.decile_error"),
            subject=TEST,
        ),
    ]


def slice_r2(candidate: GateInput) -> list[Finding]:
    """No slice's R2, against its own mean label, is below `min_slice_brier_skill`."""
    limit = candidate.limits.min_slice_brier_skill
    rows = undeclared_slices(candidate, "slice_r2", "r2", limit)
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("slice_r2", "r2", limit, part))
        else:
            rows.append(
                at_least(
                    "slice_r2",
                    "r2",
                    limit,
                    candidate.of_slice(part, "r2"),
                    subject=TEST,
                    part=part.label,
                )
            )
    return rows


def slice_bias(candidate: GateInput) -> list[Finding]:
    """No slice's mean error exceeds `max_slice_bias` standard deviations of the test labels."""
    limit, spread = (
        candidate.threshold("max_slice_bias"),
        candidate.problem_strategy.label_spread(candidate.labels),
    )
    rows = undeclared_slices(candidate, "slice_bias", "bias", limit)
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("slice_bias", "bias", limit, part))
        else:
            bias = candidate.of_slice(part, "bias")
            rows.append(
                at_most(
                    "slice_bias",
                    "bias",
                    limit,
                    None if bias is None else abs(bias) / spread,
                    subject=TEST,
                    part=part.label,
                )
            )
    return rows


REGRESSION_GATES: tuple[Gate, ...] = (errors, calibration, slice_r2, slice_bias)
