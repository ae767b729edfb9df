"""The bounds of a column of numbers, proposed from the values that were seen."""

from __future__ import annotations

import math

from cli.authoring.profile import ColumnProfile

FEW_VALUES = 10
"""Of a column of whole numbers: with no more different ones it counts something."""
TAIL = 4


def bounds(column: ColumnProfile) -> tuple[float, float, str]:
    """Limits around the observed ones, and what they add in words; what is never negative stays
    so.
    """
    low, high = float(column.minimum or 0.0), float(column.maximum or 0.0)
    if (low, high) == (0.0, 1.0):  # as they are told apart: a flag, or a share
        return low, high, ""
    margin, added = max((high - low) / 2, abs(high) / 2), ", half that span added"
    if column.type == "integer" and column.distinct <= FEW_VALUES and margin < FEW_VALUES:
        # A count of at most two cots says little about the largest that will ever be asked for.
        margin, added = float(FEW_VALUES), f", {FEW_VALUES} more for a count"
    elif low >= 0.0 and 2 * column.usual <= high:
        # Nearly all rain is far below the heaviest, so the next one may be heavier by far.
        margin = TAIL * high
        added = f", {TAIL} times that added, for 99 % are at most {column.usual:g}"
    least = 0.0 if low >= 0.0 else low - margin
    return _outward(least, -1), _outward(high + margin, 1), added


def _outward(value: float, direction: int) -> float:
    """Rounded away from the values to two digits."""
    if value == 0.0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    edge = math.ceil(value / step) if direction > 0 else math.floor(value / step)
    return float(f"{edge * step:.6g}")
