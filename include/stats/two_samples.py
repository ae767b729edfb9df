"""Whether two samples of many columns come from one population, by permutation.

The statistic of a column is the largest of its contrasts (location, scale, missing share; of a
category each value's share) and of the sum of squares over all its bins, each in standard
deviations of what permutations make of it. So a shift of the mean is met almost as soon as a test
of means alone would, and whatever else moves is met too.

Independent rows are permuted one by one, which for counts in bins is a draw of the multivariate
hypergeometric distribution: as cheap for a million rows as for a thousand. Rows that share a cause
(all flights of an hour share the weather) are permuted in whole blocks; of many blocks neighbours
are merged. A first round of permutations decides on nearly all columns; the few that none of it
reaches get a second, long one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from include.stats.binning import Binned, bin_categories, bin_numbers, hellinger

FIRST_ROUND = 499
LEAST_SECOND_ROUND = 19_999
UNSURE = 2
"""Exceedances in the first round up to which the second one is made."""
CHUNK = 1_000
MOST_BLOCKS = 300
ENOUGH = 40
"""Exceedances after which the second round ends early: the p-value is known to a sixth."""
FAR = 2.0
"""How many times the largest of the first round a statistic must be to need no second one."""
MOVABLE = 2
"""Bins with rows that a column needs to move between."""
TINY = 1e-9
LARGEST_EXPONENT = 700.0

Draw = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Columns by name, float64 of shape (rows,) with NaN for missing; categories by code.

    `blocks`, int64 of shape (rows,), are the same for rows that share a cause, and rise with time;
    None where rows are independent.
    """

    columns: Mapping[str, np.ndarray]
    categories: frozenset[str]
    blocks: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """How many."""
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True)
class Comparison:
    """One column of both samples. `effect` is the Hellinger distance of its bins, `p` the
    probability of a statistic as large without a change.
    """

    column: str
    effect: float
    p: float
    missing: float
    reference_missing: float


def compare(
    serving: Sample, reference: Sample, *, smallest_p: float, seed: int
) -> dict[str, Comparison] | None:
    """Every column that both samples have. None where so few blocks have fewer permutations than
    `smallest_p` needs: nothing can be decided.

    `smallest_p` is the least that a decision asks for (the level over the number of tests).
    """
    random = np.random.default_rng(seed)
    second = max(LEAST_SECOND_ROUND, math.ceil(4.0 / smallest_p))
    if serving.blocks is None or reference.blocks is None:
        rows = serving.rows, reference.rows
        tested = partial(_p_of_rows, rows=rows, second=second, random=random)
    else:
        blocks = merged_blocks(serving.blocks), merged_blocks(reference.blocks)
        if _permutations(*map(_count, blocks)) < 1.0 / smallest_p:
            return None
        tested = partial(_p_of_blocks, drawn=_draw_blocks(blocks, random), second=second)
    result: dict[str, Comparison] = {}
    # One column after the other: no more than one of each side is in memory.
    for name in serving.columns:
        if name in reference.columns:
            binned = _bin(name, serving, reference)
            result[name] = _comparison(name, binned, tested(binned))
    return result


def adjusted(probabilities: np.ndarray) -> np.ndarray:
    """Benjamini and Yekutieli's (2001) adjusted values, valid however the tests depend on each
    other.
    """
    from scipy.stats import false_discovery_control

    if not probabilities.size:
        return probabilities
    return np.asarray(false_discovery_control(probabilities, method="by"))


def threshold(level: float, tests: int) -> float:
    """The p-value that a single one of so many tests must have for `adjusted` to be `level`."""
    return level / (tests * sum(1.0 / place for place in range(1, tests + 1)))


def _bin(name: str, serving: Sample, reference: Sample) -> Binned:
    cut = bin_categories if name in serving.categories else bin_numbers
    return cut(serving.columns[name], reference.columns[name])


def _comparison(name: str, binned: Binned, p: float) -> Comparison:
    shares = [
        np.bincount(side, minlength=binned.bins) / len(side)
        for side in (binned.serving, binned.reference)
    ]
    return Comparison(
        name, hellinger(shares[0], shares[1]), p, float(shares[0][-1]), float(shares[1][-1])
    )


@dataclass(frozen=True)
class _Blocks:
    """Both sides' blocks: `places` are those of their rows, `sizes` the rows of each block.

    `actual` are the serving rows' blocks, shape (1, blocks), and `first` those of the first round,
    which is the same for all columns; `select` draws more.
    """

    places: tuple[np.ndarray, np.ndarray]
    sizes: np.ndarray
    actual: np.ndarray
    first: np.ndarray
    select: Draw


def _p_of_rows(
    binned: Binned, rows: tuple[int, int], second: int, random: np.random.Generator
) -> float:
    serving, reference = rows
    counts = np.bincount(binned.serving, minlength=binned.bins)
    total = counts + np.bincount(binned.reference, minlength=binned.bins)
    used = total > 0
    if used.sum() < MOVABLE:
        return 1.0
    totals, contrasts, pool = total[used], binned.contrasts[:, used], total[used] / total.sum()

    def parts(drawn: np.ndarray) -> np.ndarray:
        return _parts(drawn / serving - (totals - drawn) / reference, contrasts, pool)

    def draw(count: int) -> np.ndarray:
        return parts(random.multivariate_hypergeometric(totals, serving, size=count))

    return _two_rounds(parts(counts[None, used]), draw(FIRST_ROUND), draw, second, binned.handicaps)


def _draw_blocks(places: tuple[np.ndarray, np.ndarray], random: np.random.Generator) -> _Blocks:
    ours, others = map(_count, places)
    sizes = np.concatenate([np.bincount(side) for side in places]).astype(np.float64)

    def select(count: int) -> np.ndarray:
        keys = random.random((count, ours + others), dtype=np.float32)
        least = np.partition(keys, ours - 1, axis=1)[:, ours - 1 : ours]
        return (keys <= least).astype(np.float64)

    actual = np.append(np.ones(ours), np.zeros(others))[None, :]
    return _Blocks(places, sizes, actual, select(FIRST_ROUND), select)


def _p_of_blocks(binned: Binned, drawn: _Blocks, second: int) -> float:
    sides = zip((binned.serving, binned.reference), drawn.places, strict=True)
    counts = np.vstack([_block_counts(side, block, binned.bins) for side, block in sides])
    used = counts.sum(axis=0) > 0
    if used.sum() < MOVABLE:
        return 1.0
    counts, contrasts, sizes = counts[:, used], binned.contrasts[:, used], drawn.sizes
    totals, rows = counts.sum(axis=0), sizes.sum()

    def parts(chosen: np.ndarray) -> np.ndarray:
        here, many = chosen @ counts, (chosen @ sizes)[:, None]
        moved = here / many - (totals - here) / (rows - many)
        return _parts(moved, contrasts, totals / rows)

    actual, first = parts(drawn.actual), parts(drawn.first)

    def draw(count: int) -> np.ndarray:
        return parts(drawn.select(count))

    return _two_rounds(actual, first, draw, second, binned.handicaps)


def _block_counts(places: np.ndarray, blocks: np.ndarray, bins: int) -> np.ndarray:
    count = _count(blocks)
    flat = np.bincount(blocks * bins + places, minlength=count * bins)
    return flat.reshape(count, bins).astype(np.float64)


def _parts(moved: np.ndarray, contrasts: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Contrasts and the cube root of the sum of squares, of differences of shape (draws, bins)."""
    squares = np.cbrt((moved**2 / pool).sum(axis=1, keepdims=True))
    return np.hstack([moved @ contrasts.T, squares])


def _largest(
    parts: np.ndarray, centre: np.ndarray, spread: np.ndarray, handicaps: np.ndarray
) -> np.ndarray:
    standard = (parts - centre) / spread
    standard[:, :-1] = np.abs(standard[:, :-1])
    return np.asarray((standard - handicaps).max(axis=1))


def _two_rounds(
    observed: np.ndarray, first: np.ndarray, draw: Draw, second: int, handicaps: np.ndarray
) -> float:
    """`observed` has shape (1, parts), a round (permutations, parts)."""
    centre, spread = first.mean(axis=0), np.maximum(first.std(axis=0), TINY)
    largest = partial(_largest, centre=centre, spread=spread, handicaps=handicaps)
    value, reached = largest(observed)[0] - TINY, largest(first)
    above = int((reached >= value).sum())
    if above > UNSURE:
        return (above + 1) / (FIRST_ROUND + 1)
    if value > FAR * reached.max():
        return 1.0 / (second + 1)
    above, drawn = 0, 0
    while drawn < second and above <= ENOUGH:
        count = min(second - drawn, CHUNK)
        above += int((largest(draw(count)) >= value).sum())
        drawn += count
    return (above + 1) / (drawn + 1)


def merged_blocks(blocks: np.ndarray) -> np.ndarray:
    """The blocks' places in their order, from 0, of at most `MOST_BLOCKS`: neighbours are merged,
    which keeps what depends on each other together.
    """
    _, place = np.unique(blocks, return_inverse=True)
    count = _count(place)
    return place if count <= MOST_BLOCKS else place * MOST_BLOCKS // count


def _count(places: np.ndarray) -> int:
    return int(places.max(initial=-1)) + 1


def _permutations(ours: int, others: int) -> float:
    """In how many ways that many blocks can be divided (infinite where a float cannot hold it)."""
    exponent = math.lgamma(ours + others + 1) - math.lgamma(ours + 1) - math.lgamma(others + 1)
    return math.exp(exponent) if exponent < LARGEST_EXPONENT else math.inf
