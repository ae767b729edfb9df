"""A domain classifier: can it be told from a row's inputs whether it is a serving or a reference
row?

It is linear in the inputs, their squares and their products, fitted by ridge regression in one
solution of the normal equations, so that it sees shifted means, scales and correlations. One half
of the rows fits, the other one judges: by the AUC, which is 0.5 without a change and then has the
variance (n + m + 1) / (12 n m) for independent rows (Mann and Whitney, 1947). Rows that share a
cause lie in one half together, and their blocks are permuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.stats.two_samples import Sample, merged_blocks

MOST_ROWS = 20_000
"""Rows of a side that are used: every so-manieth of more."""
MOST_PRODUCTS = 10
"""Numbers whose products are formed."""
MOST_CATEGORIES = 8
CLIP = 4.0
RIDGE = 0.02
PERMUTATIONS = 4_999
FEWEST_BLOCKS = 6
NEWTON_STEPS = 12
BOUNDS = (0.02, 0.98)


@dataclass(frozen=True)
class Separation:
    """How well the classifier tells the sides apart.

    `auc` and `p` are of the half that did not fit. `probability`, float64 of shape (rows of both
    sides), is each row's chance to be a serving row were both sides equally large, by the
    half that it was not in; `taken` are the rows of the two sides that were used.
    """

    auc: float
    p: float
    probability: np.ndarray
    taken: tuple[np.ndarray, np.ndarray]


def separate(serving: Sample, reference: Sample, *, seed: int) -> Separation | None:
    """Fit and judge; None where there are too few blocks to judge by."""
    taken = _taken(serving.rows), _taken(reference.rows)
    matrix = _design([(serving, taken[0]), (reference, taken[1])])
    truth = np.append(np.ones(len(taken[0])), np.zeros(len(taken[1])))
    blocks = _blocks((serving, reference), taken)
    half = blocks % 2 == 0
    scores = np.empty(len(truth))
    for fitted in (half, ~half):
        weights = _ridge(matrix[fitted], truth[fitted])
        scores[~fitted] = _probability(
            matrix[fitted] @ weights, truth[fitted], matrix[~fitted] @ weights
        )
    judged = ~half
    if serving.blocks is None:
        auc, p = auc_against_chance(scores[judged], truth[judged] == 1)
    elif min(len(np.unique(blocks[judged & (truth == side)])) for side in (0, 1)) < FEWEST_BLOCKS:
        return None
    else:
        auc, p = auc_of_blocks(scores[judged], truth[judged] == 1, blocks[judged], seed=seed)
    return Separation(auc, p, scores, taken)


def auc_against_chance(scores: np.ndarray, serving: np.ndarray) -> tuple[float, float]:
    """The AUC and the probability of one as large by chance, of independent rows."""
    from scipy.stats import norm

    ranks = _ranks(scores)
    ours = int(serving.sum())
    others = len(scores) - ours
    auc = (ranks[serving].sum() - ours * (ours + 1) / 2.0) / (ours * others)
    spread = np.sqrt((ours + others + 1) / (12.0 * ours * others))
    return float(auc), float(norm.sf((auc - 0.5) / spread))


def auc_of_blocks(
    scores: np.ndarray, serving: np.ndarray, blocks: np.ndarray, *, seed: int
) -> tuple[float, float]:
    """The same where whole blocks, each of one side, are permuted."""
    _, member = np.unique(blocks, return_inverse=True)
    count = int(member.max()) + 1
    sizes = np.bincount(member).astype(np.float64)
    sums = np.bincount(member, weights=_ranks(scores))
    actual = np.bincount(member, weights=serving) > 0

    def auc(chosen: np.ndarray) -> np.ndarray:
        ours = chosen @ sizes
        return np.asarray((chosen @ sums - ours * (ours + 1) / 2.0) / (ours * (sizes.sum() - ours)))

    keys = np.random.default_rng(seed).random((PERMUTATIONS, count))
    many = int(actual.sum())
    chosen = keys <= np.partition(keys, many - 1, axis=1)[:, many - 1 : many]
    observed = float(auc(actual[None, :].astype(np.float64))[0])
    above = int((auc(chosen.astype(np.float64)) >= observed).sum())
    return observed, (above + 1) / (PERMUTATIONS + 1)


def _taken(rows: int) -> np.ndarray:
    return np.arange(0, rows, max(1, -(-rows // MOST_ROWS)))


def _blocks(sides: Sequence[Sample], taken: Sequence[np.ndarray]) -> np.ndarray:
    """A number for each row's block; no block is on both sides."""
    result, start = [], 0
    for sample, rows in zip(sides, taken, strict=True):
        place = (
            np.arange(len(rows)) if sample.blocks is None else merged_blocks(sample.blocks[rows])
        )
        result.append(place + start)
        start += int(place.max(initial=-1)) + 1
        start += start % 2
    return np.concatenate(result)


def _design(sides: Sequence[tuple[Sample, np.ndarray]]) -> np.ndarray:
    first = sides[0][0]
    names = [name for name in first.columns if all(name in side.columns for side, _ in sides)]
    numbers: list[np.ndarray] = []
    others: list[np.ndarray] = []
    for name in names:
        values = np.concatenate([side.columns[name][rows] for side, rows in sides])
        empty = np.isnan(values)
        if empty.any():
            others.append(empty.astype(np.float64))
        if name in first.categories:
            others += _indicators(values)
        else:
            numbers.append(_standard(values))
    products = [
        numbers[left] * numbers[right]
        for left in range(min(len(numbers), MOST_PRODUCTS))
        for right in range(left)
    ]
    squares = [column**2 for column in numbers]
    matrix = np.column_stack([*numbers, *squares, *products, *others])
    spread = matrix.std(axis=0)
    moving = spread > 0.0
    centred = (matrix[:, moving] - matrix[:, moving].mean(axis=0)) / spread[moving]
    return np.column_stack([np.ones(len(centred)), centred])


def _standard(values: np.ndarray) -> np.ndarray:
    """In robust standard deviations about the median, clipped; missing values in the middle."""
    present = values[~np.isnan(values)]
    if not present.size:
        return np.zeros(len(values))
    low, middle, high = np.quantile(present, [0.25, 0.5, 0.75])
    spread = (high - low) / 1.349 or float(present.std()) or 1.0
    return np.asarray(np.clip(np.nan_to_num((values - middle) / spread), -CLIP, CLIP))


def _indicators(values: np.ndarray) -> list[np.ndarray]:
    codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    common = codes[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]]
    return [(values == code).astype(np.float64) for code in common]


def _ridge(matrix: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Least squares with both sides weighted alike."""
    ours = truth.mean()
    weights = np.where(truth == 1, 0.5 / max(ours, 1e-12), 0.5 / max(1.0 - ours, 1e-12))
    weighted = matrix * weights[:, None]
    square = weighted.T @ matrix / len(matrix)
    square[np.diag_indices_from(square)] += RIDGE
    return np.asarray(np.linalg.solve(square, weighted.T @ (2.0 * truth - 1.0) / len(matrix)))


def _probability(fitted: np.ndarray, truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Platt's (1999) logistic curve through the fitted scores, both sides weighted alike."""
    ours = truth.mean()
    weights = np.where(truth == 1, 0.5 / max(ours, 1e-12), 0.5 / max(1.0 - ours, 1e-12))
    inputs = np.column_stack([np.ones(len(fitted)), fitted])
    curve = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(inputs @ curve, -30.0, 30.0)))
        slope = inputs.T @ (weights * (truth - chance))
        bend = (inputs * (weights * chance * (1.0 - chance))[:, None]).T @ inputs
        bend[np.diag_indices_from(bend)] += 1e-6 * len(fitted)
        curve = curve + np.linalg.solve(bend, slope)
    chance = 1.0 / (1.0 + np.exp(-np.clip(curve[0] + curve[1] * values, -30.0, 30.0)))
    return np.asarray(np.clip(chance, *BOUNDS))


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))
