"""Windows of a use case with twenty inputs: sixteen numbers and four categories, undrifted or with
one planted change.

Independent rows, or blocks of rows that share a cause: then more than a third of a number's
variance is its block's, and so is half of a category's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from include.monitoring.checks.base import Side
from include.stats.two_samples import Sample

NUMBERS, CATEGORIES = 16, 4
INPUTS = NUMBERS + CATEGORIES
BLOCK = 20
OF_THE_BLOCK = 0.36
NULL_SHARE = 0.02
SHARES = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
SENTINEL = -999.0
NUMBER, CATEGORY = "number_0", "category_0"

Plant = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Shift:
    """A planted change of one column, in three sizes."""

    name: str
    column: str
    sizes: tuple[float, float, float]
    plant: Plant


def sample(
    rows: int, random: np.random.Generator, *, blocks: bool = False, inputs: int = INPUTS
) -> Sample:
    """Undrifted rows; `inputs` below 20 gives the first number and category only."""
    few = inputs < INPUTS
    columns: dict[str, np.ndarray] = {}
    for place in range(1 if few else NUMBERS):
        columns[f"number_{place}"] = _number(rows, random, blocks=blocks)
    for place in range(1 if few else CATEGORIES):
        columns[f"category_{place}"] = _category(rows, random, blocks=blocks)
    empty = random.random(rows) < NULL_SHARE
    columns[NUMBER] = np.where(empty, np.nan, columns[NUMBER])
    names = frozenset(name for name in columns if name.startswith("category"))
    return Sample(columns, names, np.arange(rows) // BLOCK if blocks else None)


def planted(undrifted: Sample, shift: Shift, size: float, random: np.random.Generator) -> Sample:
    """The sample with the change."""
    values = shift.plant(undrifted.columns[shift.column], size, random)
    columns = {**undrifted.columns, shift.column: values}
    return Sample(columns, undrifted.categories, undrifted.blocks)


def side(rows: Sample) -> Side:
    """A side of a window that has inputs only."""
    return Side(rows)


def _number(rows: int, random: np.random.Generator, *, blocks: bool) -> np.ndarray:
    values = random.normal(size=rows)
    if not blocks:
        return values
    shared = np.repeat(random.normal(size=-(-rows // BLOCK)), BLOCK)[:rows]
    return np.asarray(np.sqrt(OF_THE_BLOCK) * shared + np.sqrt(1.0 - OF_THE_BLOCK) * values)


def _category(rows: int, random: np.random.Generator, *, blocks: bool) -> np.ndarray:
    values = random.choice(len(SHARES), size=rows, p=SHARES).astype(np.float64)
    if not blocks:
        return values
    shared = random.choice(len(SHARES), size=-(-rows // BLOCK), p=SHARES).astype(np.float64)
    return np.where(random.random(rows) < 0.5, np.repeat(shared, BLOCK)[:rows], values)


def _mean(values: np.ndarray, size: float, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    return values + size


def _scale(values: np.ndarray, size: float, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    return values * (1.0 + size)


def _share(values: np.ndarray, size: float, random: np.random.Generator) -> np.ndarray:
    """The commonest value loses `size` of all rows to the last one."""
    moved = (values == 0) & (random.random(len(values)) < size / SHARES[0])
    return np.where(moved, float(len(SHARES) - 1), values)


def _nulls(values: np.ndarray, size: float, random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(len(values)) < size, np.nan, values)


def _sentinel(values: np.ndarray, size: float, random: np.random.Generator) -> np.ndarray:
    return np.where(random.random(len(values)) < size, SENTINEL, values)


SHIFTS: Mapping[str, Shift] = {
    shift.name: shift
    for shift in (
        Shift("mean", NUMBER, (0.1, 0.2, 0.5), _mean),
        Shift("scale", NUMBER, (0.1, 0.25, 0.5), _scale),
        Shift("category share", CATEGORY, (0.02, 0.05, 0.1), _share),
        Shift("null share", NUMBER, (0.01, 0.03, 0.1), _nulls),
        Shift("sentinel", NUMBER, (0.005, 0.01, 0.02), _sentinel),
    )
}
"""The planted changes of inputs; sizes in standard deviations, as a factor less one, as shares."""
