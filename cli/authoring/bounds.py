"""The bounds of a column of numbers, proposed from the values that were seen."""

from __future__ import annotations

import math

from cli.authoring.profile import ColumnProfile

FEW_VALUES = 10
"""Of a column of whole numbers: with no more different ones it counts something."""
TAIL = 4
CENTURY = 100.0
FAR = 2
"""Values are far from 0 where it is more than so many of their spans away."""


def bounds(column: ColumnProfile) -> tuple[float, float, str]:
    """Limits around the observed ones, and what they add in words; what is never negative stays
    so.
    """
    low, high = float(column.minimum or 0.0), float(column.maximum or 0.0)
    if (low, high) == (0.0, 1.0):  # as they are told apart: a flag, or a share
        return low, high, ""
    span = high - low
    if 0.0 < FAR * span < min(abs(low), abs(high)) and low * high > 0.0:
        # A pressure of 29 to 31 has nothing to do with 0.
        step = 10.0 ** math.floor(math.log10(span))
        edges = math.floor((low - FAR * span) / step), math.ceil((high + FAR * span) / step)
        least, most = (float(f"{edge * step:.6g}") for edge in edges)
        return least, most, ", twice that span added"
    margin, added = span / 2, "half that span"
    if abs(high) > span:
        margin, added = abs(high) / 2, "half of the largest"
    if column.type == "integer" and column.distinct <= FEW_VALUES and margin < FEW_VALUES:
        # A count of at most two cots says little about the largest that will ever be asked for.
        margin, added = float(FEW_VALUES), f"{FEW_VALUES} for a count"
    elif low >= 0.0 and 2 * column.usual <= high:
        # Nearly all rain is far below the heaviest, so the next one may be heavier by far.
        margin = TAIL * high
        added = f"{TAIL} times the largest, for 99 % are at most {column.usual:g},"
    if low >= 0.0:
        return 0.0, _outward(high + margin, 1), f", {added} added above, and from 0 on"
    return _outward(low - margin, -1), _outward(high + margin, 1), f", {added} added"


def year_bounds(column: ColumnProfile) -> tuple[float, float, str]:
    """Limits of a year: it goes on, so none of today's span holds."""
    low, high = float(column.minimum or 0.0), float(column.maximum or 0.0)
    return low - CENTURY, high + CENTURY, ", a century added"


def _outward(value: float, direction: int) -> float:
    """Rounded away from the values to two digits."""
    if value == 0.0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    edge = math.ceil(value / step) if direction > 0 else math.floor(value / step)
    return float(f"{edge * step:.6g}")
