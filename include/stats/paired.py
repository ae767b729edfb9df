"""Candidate and champion on the same rows, and how sure the difference is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from include.stats.bootstrap import auc_resamples
from include.stats.metrics import roc_auc

RESAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """A difference with its 95 % interval (`low` to `high`);

    `resampled` are the differences of the resamples that define one.
    """

    mean: float
    low: float
    high: float
    clusters: int
    resampled: np.ndarray = field(repr=False, compare=False)

    def share_above(self, bound: float) -> float:
        """Share of the resamples with a difference above `bound`: how sure it is that the true one
        is. 0 where none defines one.
        """
        return float((self.resampled > bound).mean()) if self.resampled.size else 0.0


def paired_bootstrap(
    differences: np.ndarray, clusters: np.ndarray, *, seed: int, resamples: int = RESAMPLES
) -> Difference:
    """Mean of per-row `differences` with its percentile interval from resampling whole clusters
    with replacement.

    Both arrays have shape (rows,). Rows of one cluster (here: one day, which shares its weather)
    are not independent; resampling single rows would make the interval too narrow (Efron and
    Tibshirani, 1993, chapter 8).
    """
    _, member = np.unique(clusters, return_inverse=True)
    sums = np.bincount(member, weights=differences)
    counts = np.bincount(member)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return _difference(float(differences.mean()), means, len(sums))


def auc_difference(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    clusters: np.ndarray,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Difference:
    """AUC of the scores `first` less that of `second`, both on the same resamples of whole
    clusters; all arrays have shape (rows,).

    Resamples with one class only define no AUC and are left out. Raises `DataError` when the labels
    hold one class only.
    """
    _, member = np.unique(clusters, return_inverse=True)
    count = int(np.max(member)) + 1
    drawn = (
        np.random.default_rng(seed)
        .multinomial(count, np.full(count, 1.0 / count), size=resamples)
        .astype(np.float64)
    )
    resampled = auc_resamples(labels, first, member, drawn) - auc_resamples(
        labels, second, member, drawn
    )
    return _difference(
        roc_auc(labels, first) - roc_auc(labels, second), resampled[np.isfinite(resampled)], count
    )


def _difference(observed: float, resampled: np.ndarray, clusters: int) -> Difference:
    low, high = np.percentile(resampled, [2.5, 97.5]) if resampled.size else (np.nan, np.nan)
    return Difference(observed, float(low), float(high), clusters, resampled)
