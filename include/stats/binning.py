"""Two samples of a column in the same bins, and what the bins are scored by.

The edges come from both samples together, whichever row belongs to which: so the permutations of
`include.stats.two_samples` are exact. A number has twelve bins, narrow ones at both ends; a value
that fills a bin by itself (no rain at all) gets one of its own. A category has one bin for each of
its commonest values and one for all others. The last bin holds missing values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUANTILES = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
MOST_CATEGORIES = 50
FEWEST_IN_A_BIN = 10
SAMPLED_FOR_EDGES = 40_000
HANDICAP = 0.5
"""A shift of the location is the commonest change: it is met nearly as soon as by a test of it
alone, and the others a little later.
"""


@dataclass(frozen=True)
class Binned:
    """The bin of every row of both samples, int64 of shapes (serving rows,) and (reference rows,).

    `contrasts`, float64 of shape (contrasts, bins), are scores of the bins whose mean is compared:
    of a number location, scale and missing share, of a category the share of each common value.
    `handicaps`, shape (contrasts + 1,), are what each must be larger by to count as much as the
    first, in standard deviations; the last is that of the sum of squares over all bins.
    """

    serving: np.ndarray
    reference: np.ndarray
    bins: int
    contrasts: np.ndarray
    handicaps: np.ndarray


def bin_numbers(serving: np.ndarray, reference: np.ndarray) -> Binned:
    """Bins of two samples of numbers, float of shape (rows,); NaN is missing."""
    edges = _edges(serving, reference)
    bins = len(edges) + 2
    places = [_places(edges, values) for values in (serving, reference)]
    counts = np.bincount(places[0], minlength=bins) + np.bincount(places[1], minlength=bins)
    handicaps = np.array([0.0, *[HANDICAP] * 3])
    return Binned(places[0], places[1], bins, _number_contrasts(counts), handicaps)


def bin_categories(serving: np.ndarray, reference: np.ndarray) -> Binned:
    """Bins of two samples of categories by code, float of shape (rows,); NaN is missing, and so is
    what has no code.
    """
    codes = [np.where(np.isnan(side), -1.0, side).astype(np.int64) for side in (serving, reference)]
    most = max((int(side.max(initial=-1)) for side in codes), default=-1) + 1
    counts = np.bincount(np.concatenate(codes) + 1, minlength=most + 1)
    common = np.argsort(-counts[1:], kind="stable")[:MOST_CATEGORIES]
    bins = len(common) + 2
    place = np.full(most + 1, len(common))
    place[common + 1] = np.arange(len(common))
    place[0] = bins - 1
    binned = [place[side + 1] for side in codes]
    total = np.bincount(binned[0], minlength=bins) + np.bincount(binned[1], minlength=bins)
    contrasts = np.eye(bins)[total >= FEWEST_IN_A_BIN]
    handicaps = np.append(np.zeros(len(contrasts)), HANDICAP)
    return Binned(binned[0], binned[1], bins, contrasts, handicaps)


def hellinger(serving: np.ndarray, reference: np.ndarray) -> float:
    """The Hellinger distance of two lists of shares: 0 for equal ones, 1 without a common bin.

    A shift of a normal variable by d standard deviations is about 0.35 d, a new value in a share e
    of the rows about sqrt(e / 2).
    """
    overlap = np.sqrt(serving * reference).sum()
    return float(np.sqrt(max(0.0, 1.0 - overlap)))


def _edges(serving: np.ndarray, reference: np.ndarray) -> np.ndarray:
    step = max(1, (len(serving) + len(reference)) // SAMPLED_FOR_EDGES)
    pooled = np.concatenate([serving[::step], reference[::step]])
    pooled = np.sort(pooled[~np.isnan(pooled)])
    if not pooled.size:
        return np.empty(0)
    at = np.minimum((QUANTILES * pooled.size).astype(np.int64), pooled.size - 1)
    edges, repeats = np.unique(pooled[at], return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[repeats > 1], np.inf)]))


def _places(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    place = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), len(edges) + 1, place)


def _number_contrasts(counts: np.ndarray) -> np.ndarray:
    """Van der Waerden's scores for the location, Klotz's for the scale, and the missing share."""
    from scipy.special import ndtri

    present = counts[:-1].astype(np.float64)
    total = max(present.sum(), 1.0)
    rank = np.clip((np.cumsum(present) - present / 2.0) / total, 1e-6, 1.0 - 1e-6)
    location = ndtri(rank)
    spread = location**2
    scores = np.zeros((3, len(counts)))
    for place, values in enumerate((location, spread)):
        scores[place, :-1] = values - (values * present).sum() / total
    scores[2, -1] = 1.0
    return scores
