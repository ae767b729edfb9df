"""How sure a metric is: percentile intervals from resampling whole clusters of rows with
replacement.

Rows of one day share their weather and their chain of delays. Resampling single rows would make the
interval too narrow (Efron and Tibshirani, 1993, chapter 8); clusters are days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.stats.metrics import log_losses

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
MIN_CLUSTERS = 2


@dataclass(frozen=True)
class Interval95:
    """The 95 % interval of one metric over `clusters` clusters."""

    low: float
    high: float
    clusters: int


def bootstrap_intervals(
    labels: np.ndarray,
    scores: np.ndarray,
    clusters: np.ndarray,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Interval95]:
    """Intervals of `brier`, `logloss` and, where both classes are present, `auc`; all arrays have
    shape (rows,).

    Empty when there are fewer than two clusters: nothing can be resampled. Resamples that hold one
    class only say nothing of AUC and are left out.
    """
    clusters_drawn = resampled_clusters(clusters, seed=seed, resamples=resamples)
    if clusters_drawn is None:
        return {}
    member, drawn = clusters_drawn
    values = {
        "brier": mean_resamples((scores - labels) ** 2, member, drawn),
        "logloss": mean_resamples(log_losses(labels, scores), member, drawn),
        "auc": auc_resamples(labels, scores, member, drawn),
    }
    return percentile_intervals(values, drawn.shape[1])


def resampled_clusters(
    clusters: np.ndarray, *, seed: int, resamples: int = RESAMPLES
) -> tuple[np.ndarray, np.ndarray] | None:
    """Every row's cluster number, and how often each cluster is in each resample, float64 of shape
    (resamples, clusters).

    `None` when there are fewer than two clusters: nothing can be resampled.
    """
    _, member = np.unique(clusters, return_inverse=True)
    count = int(np.max(member)) + 1
    if count < MIN_CLUSTERS:
        return None
    return member, np.random.default_rng(seed).multinomial(
        count, np.full(count, 1.0 / count), size=resamples
    ).astype(np.float64)


def mean_resamples(values: np.ndarray, member: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The mean of `values`, shape (rows,), in every resample."""
    return np.asarray(drawn @ np.bincount(member, weights=values) / (drawn @ np.bincount(member)))


def percentile_intervals(values: Mapping[str, np.ndarray], clusters: int) -> dict[str, Interval95]:
    """Intervals of the metrics' resamples; a metric that no resample defines is left out."""
    return {
        name: _interval(resamples, clusters)
        for name, resamples in values.items()
        if np.isfinite(resamples).any()
    }


def auc_resamples(
    labels: np.ndarray, scores: np.ndarray, member: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """AUC of every resample, without sorting again: w' C w / (w' p)(w' n) for the clusters'
    multiplicities w.

    C[i, j] counts pairs of a positive of cluster i that scores above a negative of cluster j, ties
    half; p and n count positives and negatives of each cluster.
    """
    count = drawn.shape[1]
    positive = labels == 1
    positives, negatives = (
        np.bincount(member[mask], minlength=count).astype(np.float64)
        for mask in (positive, ~positive)
    )
    wins = np.zeros((count, count))
    for cluster in range(count):
        ranked = np.sort(scores[~positive & (member == cluster)])
        below, through = (
            np.searchsorted(ranked, scores[positive], side=side) for side in ("left", "right")
        )
        wins[:, cluster] = np.bincount(
            member[positive], weights=(below + through) / 2.0, minlength=count
        )
    pairs = (drawn @ positives) * (drawn @ negatives)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("ri,ij,rj->r", drawn, wins, drawn, optimize=True) / pairs)


def binned_interval(
    errors: np.ndarray,
    order_by: np.ndarray,
    clusters: np.ndarray,
    *,
    bins: int,
    seed: int,
    largest: bool = False,
) -> Interval95 | None:
    """The interval of a calibration error: the mean (or the `largest`) of the absolute mean
    `errors`, shape (rows,), of `bins` groups of rows by `order_by`.

    The groups are those of all rows. Resampling adds its noise to that of the sample, so the upper
    end is above the error that another sample shows in 39 of 40 cases, and the lower one may be
    above the error seen: it is brought down to that. `None` with fewer than two clusters.
    """
    drawn = resampled_clusters(clusters, seed=seed)
    if drawn is None:
        return None
    member, times = drawn
    group = np.empty(len(errors), dtype=np.int64)
    for number, rows in enumerate(np.array_split(np.argsort(order_by, kind="stable"), bins)):
        group[rows] = number
    shape = (int(member.max()) + 1, bins)
    cell = np.ravel_multi_index((member, group), shape)
    sums, counts = (
        np.bincount(cell, weights=weights, minlength=shape[0] * bins).reshape(shape)
        for weights in (errors, np.ones(len(errors)))
    )
    weights = np.vstack([np.ones(shape[0]), times])  # the first of them is what was seen
    gaps, rows_of = np.abs(weights @ sums), weights @ counts
    if largest:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.nanmax(np.where(rows_of > 0.0, gaps / rows_of, 0.0), axis=1)
    else:
        values = gaps.sum(axis=1) / rows_of.sum(axis=1)
    interval = _interval(values[1:], shape[0])
    return Interval95(min(interval.low, float(values[0])), interval.high, interval.clusters)


def _interval(values: np.ndarray, clusters: int) -> Interval95:
    low, high = np.percentile(values[np.isfinite(values)], PERCENTILES)
    return Interval95(float(low), float(high), clusters)
