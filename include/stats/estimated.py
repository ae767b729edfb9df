"""Performance without labels: what the scores themselves promise.

Of probabilities (CBPE, confidence-based performance estimation): a row with the calibrated
probability p is a positive with probability p, so expected counts of hits and misses, and every
metric made of them, follow from the scores alone. It is right as long as the relation between
inputs and label holds, and blind when it does not: an estimate, to be scored against the truth when
that comes.

Of a regression: the loss that rows with such a prediction had in the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.stats.metrics import calibration_error

DRAWS = 200
MOST_ROWS = 20_000
FEWEST_ROWS = 200
LOSS_BINS = 20
PERCENTILES = (2.5, 97.5)
CLIP = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Knots of a rising curve from score to probability; none leaves the scores as they are."""

    scores: np.ndarray
    probabilities: np.ndarray

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """The probabilities of scores, shape (rows,)."""
        if not self.scores.size:
            return scores
        return np.asarray(np.interp(scores, self.scores, self.probabilities))


@dataclass(frozen=True)
class Estimate:
    """A metric's expectation, and the bounds within which it falls in 95 of 100 windows whose
    labels come as the probabilities say.
    """

    value: float
    low: float
    high: float


def fit_calibration(scores: np.ndarray, labels: np.ndarray, *, seed: int) -> Calibration:
    """An isotonic curve where it improves the calibration error of rows that it was not fitted on,
    and none otherwise.
    """
    none = Calibration(np.empty(0), np.empty(0))
    if len(scores) < FEWEST_ROWS:
        return none
    half = np.random.default_rng(seed).random(len(scores)) < 0.5
    fitted = _isotonic(scores[half], labels[half])
    raw = calibration_error(labels[~half], scores[~half])
    if calibration_error(labels[~half], fitted.apply(scores[~half])) >= raw:
        return none
    return _isotonic(scores, labels)


def estimate_metrics(
    scores: np.ndarray, calibration: Calibration, *, threshold: float, seed: int
) -> dict[str, Estimate]:
    """`auc`, `brier`, `accuracy`, `observed_rate` of scores, shape (rows,), without labels.

    Of many rows the interval is that of a sample, narrowed by the rows that it leaves out.
    """
    chance = np.clip(calibration.apply(scores), CLIP, 1.0 - CLIP)
    values = {
        "auc": expected_auc(scores, chance),
        "brier": float(np.mean((scores - chance) ** 2 + chance * (1.0 - chance))),
        "accuracy": float(np.mean(np.where(scores >= threshold, chance, 1.0 - chance))),
        "observed_rate": float(chance.mean()),
    }
    step = max(1, -(-len(scores) // MOST_ROWS))
    spreads = _spreads(scores[::step], chance[::step], threshold, seed)
    narrow = np.sqrt(len(scores[::step]) / len(scores))
    return {
        name: Estimate(value, *(value + narrow * bound for bound in spreads[name]))
        for name, value in values.items()
    }


def expected_auc(scores: np.ndarray, chance: np.ndarray) -> float:
    """The expected share of pairs of a positive and a negative that the scores order rightly, ties
    half; `chance` is each row's probability to be a positive.
    """
    values, place = np.unique(scores, return_inverse=True)
    negatives = np.bincount(place, weights=1.0 - chance, minlength=len(values))
    below = np.cumsum(negatives) - negatives
    itself = chance * (1.0 - chance)
    wins = (chance * (below[place] + negatives[place] / 2.0)).sum() - itself.sum() / 2.0
    return float(wins / (chance.sum() * (1.0 - chance).sum() - itself.sum()))


def expected_loss(predictions: np.ndarray, losses: np.ndarray, served: np.ndarray) -> Estimate:
    """The mean loss of served predictions, by what the reference lost at such predictions.

    `predictions` and `losses` are the reference's, shape (rows,). The bounds are those of the
    reference's mean losses.
    """
    edges = np.unique(np.quantile(predictions, np.linspace(0.0, 1.0, LOSS_BINS + 1)[1:-1]))
    place = np.searchsorted(edges, predictions, side="right")
    bins = len(edges) + 1
    counts = np.maximum(np.bincount(place, minlength=bins), 1)
    means = np.bincount(place, weights=losses, minlength=bins) / counts
    squares = np.bincount(place, weights=(losses - means[place]) ** 2, minlength=bins)
    shares = np.bincount(np.searchsorted(edges, served, side="right"), minlength=bins)
    shares = shares / shares.sum()
    value = float(shares @ means)
    error = float(
        np.sqrt(
            (shares**2) @ (squares / counts**2) + (shares @ squares) / counts.sum() / len(served)
        )
    )
    return Estimate(value, value - 1.96 * error, value + 1.96 * error)


def _isotonic(scores: np.ndarray, labels: np.ndarray) -> Calibration:
    from scipy.optimize import isotonic_regression

    values, place = np.unique(scores, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    rates = np.bincount(place, weights=labels.astype(np.float64)) / weights
    curve = np.asarray(isotonic_regression(rates, weights=weights).x)
    steps = np.append(True, np.diff(curve) > 0.0) | np.append(np.diff(curve) > 0.0, True)
    return Calibration(values[steps], curve[steps])


def _spreads(
    scores: np.ndarray, chance: np.ndarray, threshold: float, seed: int
) -> dict[str, tuple[float, float]]:
    """How far metrics of labels that are drawn from the probabilities lie from their mean."""
    from scipy.stats import rankdata

    drawn = (np.random.default_rng(seed).random((DRAWS, len(scores))) < chance).astype(np.float64)
    positives = drawn.sum(axis=1)
    pairs = np.maximum(positives * (len(scores) - positives), 1.0)
    answered = scores >= threshold
    metrics = {
        "auc": (drawn @ rankdata(scores) - positives * (positives + 1.0) / 2.0) / pairs,
        "brier": (drawn @ (1.0 - 2.0 * scores) + (scores**2).sum()) / len(scores),
        "accuracy": (drawn @ np.where(answered, 1.0, -1.0) + (~answered).sum()) / len(scores),
        "observed_rate": positives / len(scores),
    }
    bounds: dict[str, tuple[float, float]] = {}
    for name, values in metrics.items():
        low, high = np.percentile(values, PERCENTILES) - values.mean()
        bounds[name] = (float(low), float(high))
    return bounds
