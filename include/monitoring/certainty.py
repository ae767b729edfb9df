"""How sure a window's metrics are, for the alarm and for whoever draws or prints them: one standard
error, from which come the alarm's noise and the 95 % interval.

Rows of a block share a cause, so the error is that of the blocks (`include.stats.clustered`).
Windows of few blocks, such as a day where a block is a day, say little of how much blocks vary: the
test split's, which the package records, are counted with them. Where no block error is recorded (a
package from before, or bare metrics) the formulas of independent rows stand in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from include.stats.clustered import MIN_BLOCKS, StandardError

QUESTIONS = 2.5
"""Among how many the declared false alarms of a report are shared out: it asks two, and blocks
whose rates are skewed exceed Student's bounds a little more often (`make bench-monitoring`).
"""
FEW_BLOCKS = 20
"""Fewer than these are counted with the test split's."""


def own_error(
    name: str,
    metrics: Mapping[str, float],
    reference: Mapping[str, float],
    independent: float,
    *,
    unit: float = 1.0,
) -> StandardError | None:
    """That of a metric of the window, in units of `unit`; `independent` is what it would be of
    independent rows. None where one block is all that there is.
    """
    if "blocks" not in metrics:
        return StandardError(independent / unit)
    ours = _blocks(name, metrics)
    if metrics["blocks"] >= FEW_BLOCKS:
        return None if ours is None else StandardError(ours[0] / unit, ours[1] - 1.0)
    parts = [part for part in (ours, _blocks(name, reference)) if part is not None]
    freedom = sum(count - 1.0 for _, count in parts)
    if not freedom:
        return None
    # A block's own variance is the squared error of the mean of so many, times their number.
    variance = sum((count - 1.0) * count * error**2 for error, count in parts) / freedom
    error = max(math.sqrt(variance / metrics["blocks"]), independent)
    return StandardError(error / unit, freedom)


def change_error(
    name: str,
    metrics: Mapping[str, float],
    reference: Mapping[str, float],
    independent: float,
    independent_before: float,
    *,
    unit: float = 1.0,
) -> StandardError | None:
    """That of a metric's difference from the test split's."""
    ours = own_error(name, metrics, reference, independent, unit=unit)
    if ours is None:
        return None
    before = _blocks(name, reference)
    if before is None:
        return ours.beside(StandardError(independent_before / unit))
    return ours.beside(StandardError(before[0] / unit, before[1] - 1.0))


def bounds(
    name: str,
    value: float,
    error: StandardError | None,
    least: float = -math.inf,
    most: float = math.inf,
) -> dict[str, float]:
    """`<name>_low` and `<name>_high`, within which 95 of 100 samples lie; nothing without an
    error.
    """
    if error is None:
        return {}
    width = error.within()
    return {f"{name}_low": max(value - width, least), f"{name}_high": min(value + width, most)}


def auc_standard_error(metrics: Mapping[str, float]) -> float:
    """Hanley and McNeil (1982), equation 1: of an AUC from independent rows, by `auc`, `n` and
    `observed_rate`; 0 where these are not recorded.
    """
    if not {"n", "observed_rate"} <= metrics.keys():
        return 0.0
    auc, positives = metrics["auc"], metrics["n"] * metrics["observed_rate"]
    negatives = metrics["n"] - positives
    first = auc / (2.0 - auc)
    two = 2.0 * auc**2 / (1.0 + auc)
    variance = (
        auc * (1.0 - auc)
        + (positives - 1.0) * (first - auc**2)
        + (negatives - 1.0) * (two - auc**2)
    )
    return math.sqrt(max(variance, 0.0) / (positives * negatives))


def share_error(metrics: Mapping[str, float], name: str) -> float:
    """Of a share of independent rows; 0 where their number is not recorded."""
    share, rows = metrics[name], metrics.get("n", math.inf)
    return math.sqrt(share * (1.0 - share) / rows)


def _blocks(name: str, metrics: Mapping[str, float]) -> tuple[float, float] | None:
    """The standard error and the number of blocks that it comes from."""
    error, blocks = metrics.get(f"{name}_block_error"), metrics.get("blocks", 0.0)
    return None if error is None or blocks < MIN_BLOCKS else (error, blocks)
