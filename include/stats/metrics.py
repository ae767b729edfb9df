"""Metrics of probabilities against 0/1 labels, in plain numpy: cheap to import, the same in
training, gates and monitoring.

Every function takes `labels` (0 or 1) and `scores` (probabilities), both of shape (rows,).
"""

from __future__ import annotations

import numpy as np

from include.errors import DataError

CALIBRATION_BINS = 10
LOG_LOSS_CLIP = 1e-15


def summary(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """All metrics by name.

    `auc` and `average_precision` are left out where only one class is present: they are undefined.
    """
    labels, scores = _checked(labels, scores)
    result = {
        "n": float(len(labels)),
        "observed_rate": float(labels.mean()),
        "mean_score": float(scores.mean()),
        "brier": brier(labels, scores),
        "logloss": log_loss(labels, scores),
        "ece": calibration_error(labels, scores),
    }
    if 0 < labels.sum() < len(labels):
        result["auc"] = roc_auc(labels, scores)
        result["average_precision"] = average_precision(labels, scores)
    return result


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties half (Mann-Whitney U over the
    number of pairs).
    """
    labels, scores = _checked(labels, scores)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        raise DataError("The area under the ROC curve needs rows of both classes.")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    average_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = float(average_rank[inverse][labels == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Sum over thresholds of precision times the step in recall, without interpolation."""
    labels, scores = _checked(labels, scores)
    positives = int(labels.sum())
    if positives == 0:
        raise DataError("The average precision needs a positive row.")
    hits, flagged = _curve(labels, scores)
    recall_steps = np.diff(hits, prepend=0.0) / positives
    return float((hits / flagged * recall_steps).sum())


def brier(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean squared difference between probability and outcome (Brier, 1950)."""
    labels, scores = _checked(labels, scores)
    return float(np.mean((scores - labels) ** 2))


def log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Per row, minus the natural logarithm of the probability given to what happened; shape
    (rows,), in nats.
    """
    labels, scores = _checked(labels, scores)
    probability = np.where(labels == 1, scores, 1.0 - scores)
    return np.asarray(-np.log(np.clip(probability, LOG_LOSS_CLIP, 1.0)))


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean of `log_losses`."""
    return float(log_losses(labels, scores).mean())


def calibration_bins(
    labels: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS
) -> list[dict[str, float]]:
    """Rows sorted by score and cut into `bins` groups of equal size (the first ones hold one more):
    mean score, observed rate, n.
    """
    labels, scores = _checked(labels, scores)
    order = np.argsort(scores, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    return [
        {
            "mean_score": float(scores[group].mean()),
            "observed_rate": float(labels[group].mean()),
            "n": float(len(group)),
        }
        for group in groups
    ]


def calibration_error(
    labels: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS
) -> float:
    """Expected calibration error with bins of equal mass: sum over bins of n_b / n * |mean score_b
    - observed rate_b|.

    Equal mass, because bins of equal width leave most bins of a rare event empty (Nixon et al.,
    2019, "Measuring Calibration").
    """
    parts = calibration_bins(labels, scores, bins)
    total = sum(part["n"] for part in parts)
    return sum(
        part["n"] / total * abs(part["mean_score"] - part["observed_rate"]) for part in parts
    )


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates from (0, 0) to (1, 1), one point per distinct score."""
    labels, scores = _checked(labels, scores)
    hits, flagged = _curve(labels, scores)
    positives, negatives = float(labels.sum()), float(len(labels) - labels.sum())
    if positives == 0 or negatives == 0:
        raise DataError("A ROC curve needs rows of both classes.")
    return np.insert((flagged - hits) / negatives, 0, 0.0), np.insert(hits / positives, 0, 0.0)


def _curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per distinct score from the top: positives at or above it, rows at or above it."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    return np.cumsum(labels[order])[last_of_tie].astype(np.float64), (last_of_tie + 1).astype(
        np.float64
    )


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1 or labels.size == 0:
        raise DataError(
            f"Metrics need one score per label and at least one row; got labels {labels.shape} and"
            f" scores {scores.shape}."
        )
    if not np.isfinite(scores).all() or scores.min() < 0.0 or scores.max() > 1.0:
        raise DataError(
            "Metrics need probabilities between 0 and 1; a score is outside or not a number."
        )
    if not np.isin(labels, (0, 1)).all():
        raise DataError("Metrics need labels of 0 and 1; another value is among them.")
    return labels.astype(np.int64), scores
