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

DRAWS = 200
MOST_ROWS = 20_000
FEWEST_ROWS = 200
LOSS_BINS = 20
PERCENTILES = (2.5, 97.5)
CLIP = 1e-6
AS_THEY_ARE = np.array([0.0, 1.0, 1.0])
"""The weights that leave scores as they are."""
DRAW = 1.0
"""How strongly weights are drawn there: as much as one row of evidence would."""
ACCURACY = 1e-10


@dataclass(frozen=True)
class Calibration:
    """Beta calibration (Kull, Silva Filho and Flach, 2017): the log odds of the probability are
    `intercept` + `low` * ln(score) - `high` * ln(1 - score). As it stands it leaves scores as they
    are.
    """

    intercept: float = 0.0
    low: float = 1.0
    high: float = 1.0

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """The probabilities of scores, shape (rows,)."""
        from scipy.special import expit

        weights = np.array([self.intercept, self.low, self.high])
        return np.asarray(expit(_logarithms(scores) @ weights))


@dataclass(frozen=True)
class Estimate:
    """A metric's expectation, and the bounds within which it falls in 95 of 100 windows whose
    labels come as the probabilities say.
    """

    value: float
    low: float
    high: float


def fit_calibration(scores: np.ndarray, labels: np.ndarray) -> Calibration:
    """The likeliest curve that rises, a little drawn to leaving scores as they are; that itself of
    too few rows.

    Three numbers and not a free curve: a window of a few hundred rows fits them, and because they
    hold the scores themselves there is nothing to choose between.
    """
    if len(scores) < FEWEST_ROWS:
        return Calibration()
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    matrix = _logarithms(scores)
    signs = 2.0 * labels - 1.0

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logit, away = matrix @ weights, weights - AS_THEY_ARE
        value = -log_expit(signs * logit).sum() + DRAW / 2.0 * (away @ away)
        slope = matrix.T @ (expit(logit) - labels) + DRAW * away
        return value / len(labels), slope / len(labels)

    # Weights of the two logarithms below 0 would make the curve fall.
    rising = [(None, None), (0.0, None), (0.0, None)]
    found = minimize(loss, AS_THEY_ARE, jac=True, method="L-BFGS-B", bounds=rising, tol=ACCURACY)
    return Calibration(*map(float, found.x))


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


def _logarithms(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, CLIP, 1.0 - CLIP)
    return np.column_stack([np.ones(len(scores)), np.log(inside), -np.log1p(-inside)])


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
