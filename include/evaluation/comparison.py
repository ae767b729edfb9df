"""Candidate and champion on the same rows, and how sure the difference is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval (`low` to `high`)."""

    mean: float
    low: float
    high: float
    clusters: int


def paired_bootstrap(differences: np.ndarray, clusters: np.ndarray, *, seed: int, resamples: int = RESAMPLES) -> Difference:
    """Mean of per-row `differences` with its percentile interval from resampling whole clusters with replacement.

    Both arrays have shape (rows,). Rows of one cluster (here: one day, which shares its weather) are not independent;
    resampling single rows would make the interval too narrow (Efron and Tibshirani, 1993, chapter 8).
    """
    _, member = np.unique(clusters, return_inverse=True)
    sums = np.bincount(member, weights=differences)
    counts = np.bincount(member)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(differences.mean()), float(low), float(high), len(sums))
