"""Novelty: rows unlike any of training, with examples.

A row's strangeness is its distance from the middle of the training rows in robust standard
deviations over all numbers together; it is an outlier beyond what one in a thousand training rows
reaches. Outliers are always shown, and refuse when there are clearly more than training had.
"""

from __future__ import annotations

import numpy as np

from include.monitoring.checks.base import SCORE, Side, Window, too_few
from include.verdict import Finding

NOVELTY = "novelty"
TRAINING_SHARE = 0.001
LEAST_SHARE = 0.005
"""Outliers that refuse: five times what training had."""
EXAMPLES = 5
CLIP = 1e6


def novelty(window: Window) -> list[Finding]:
    """One finding: the share of outliers, with the strangest rows and what is strange of each."""
    few = too_few(window, NOVELTY)
    if few is not None:
        return [few]
    names = [
        name
        for name in window.reference.sample.columns
        if name not in window.reference.sample.categories
        and name != SCORE
        and name in window.serving.sample.columns
    ]
    scales = {name: _scale(window.reference.sample.columns[name]) for name in names}
    learned = _distances(window.reference, scales)
    served = _distances(window.serving, scales)
    limit = float(np.quantile(learned.max(axis=1), 1.0 - TRAINING_SHARE))
    strange = served.max(axis=1)
    outliers = strange > limit
    count, rows = int(outliers.sum()), len(strange)
    share = count / rows
    p = _binomial_p(count, rows, max(TRAINING_SHARE, 2.0 / len(learned)))
    worst = np.argsort(-strange, kind="stable")[: min(EXAMPLES, count)]
    return [
        Finding(
            rule="outliers",
            subject=NOVELTY,
            observed=share,
            limit=LEAST_SHARE,
            passed=share <= LEAST_SHARE or p > window.limits.false_discovery / 2.0,
            reason=(
                f"{count} of {rows} rows ({100 * share:.2f} %) are stranger than all but one in a"
                f" thousand training rows, p {p:.2g}."
            ),
            example={"rows": [_example(window.serving, names, served, int(at)) for at in worst]},
        )
    ]


def _scale(values: np.ndarray) -> tuple[float, float]:
    present = values[np.isfinite(values)]
    if not present.size:
        return 0.0, 1.0
    low, middle, high = np.quantile(present, [0.05, 0.5, 0.95])
    spread = (high - low) / 3.29 or float(present.std()) or 1.0
    return float(middle), float(spread)


def _distances(side: Side, scales: dict[str, tuple[float, float]]) -> np.ndarray:
    """How strange each value is, shape (rows, numbers); a missing one is not."""
    columns = [
        np.abs((side.sample.columns[name] - middle) / spread)
        for name, (middle, spread) in scales.items()
    ]
    if not columns:
        return np.zeros((side.rows, 1))
    return np.asarray(np.nan_to_num(np.column_stack(columns), nan=0.0, posinf=CLIP))


def _binomial_p(count: int, rows: int, share: float) -> float:
    from scipy.stats import binom

    return float(binom.sf(count - 1, rows, share))


def _example(side: Side, names: list[str], distances: np.ndarray, row: int) -> dict[str, object]:
    at = int(distances[row].argmax())
    shown: dict[str, object] = {
        "column": names[at],
        "value": float(side.sample.columns[names[at]][row]),
        "deviations": float(distances[row, at]),
    }
    if side.ids.size:
        shown["id"] = str(side.ids[row])
    return shown
