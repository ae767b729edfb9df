"""A number in the label's unit:

RMSE, MAE, R2, bias, and the mean error of every tenth of the rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.model.answers import ValueAnswers
from include.problems.base import LAST_ROWS, FormerLabels, LabelMove, Prior, ProblemStrategy
from include.spec import DataChecks, Regression
from include.stats.bootstrap import (
    Interval95,
    binned_interval,
    mean_resamples,
    percentile_intervals,
    resampled_clusters,
)
from include.stats.clustered import block_errors

DECILES = 10
DIFFERENT = 0.1
"""Two values are different decisions from this share of the standard deviation on."""
VALUES = 2
VALID = "Valid are finite numbers."


class RegressionStrategy(ProblemStrategy[Regression]):
    """Labels and scores are numbers of shape (rows,).

    The loss is squared or absolute error, as `problem.loss` says.
    """

    baseline_metrics = ("mse", "rmse", "mae", "r2")
    simple_name = "ridge regression"
    valid = VALID
    example_label = 1.5
    monitored_metrics = ("rmse", "mae", "bias", "r2", "mean_label")
    estimator_kind = "regressor"
    scoring_method = "predict"
    unsound = "not finite"

    headline_metric = "rmse"
    estimated_metric = "mse"
    score_kind = "value"

    def alarms_at(self, before: float) -> float | None:
        """By the declared increase of the loss, where it is the square of the RMSE."""
        if self.problem.loss != "squared":
            return None
        return before * math.sqrt(1.0 + self.use_case.monitoring.max_loss_increase)

    @property
    def answers(self) -> ValueAnswers:
        """The value."""
        return ValueAnswers()

    @property
    def validation_loss(self) -> str:
        """`rmse` or `mae`."""
        return "rmse" if self.problem.loss == "squared" else "mae"

    def booster_objective(self) -> dict[str, Any]:
        """Squared or absolute error."""
        squared = self.problem.loss == "squared"
        return {
            "objective": "reg:squarederror" if squared else "reg:absoluteerror",
            "eval_metric": "rmse" if squared else "mae",
        }

    def simple_estimator(self, *, seed: int, iterations: int) -> Any:  # noqa: ARG002  # solved exactly
        """A ridge regression."""
        from sklearn.linear_model import Ridge

        return Ridge()

    def one_against_rest(self, labels: np.ndarray) -> list[np.ndarray]:
        """Whether the label is above the median."""
        return [(labels > np.median(labels)).astype(np.int64)]

    def are_sound(self, answers: np.ndarray) -> np.ndarray:
        """Where the value is finite."""
        return np.asarray(np.isfinite(answers))

    def recorded_spread(self, labels: np.ndarray) -> float | None:
        """The standard deviation that thresholds are measured in."""
        return self.label_spread(labels)

    @property
    def loss_metric(self) -> str:  # type: ignore[override]  # the two classifications have one loss each
        """`mse` or `mae`."""
        return "mse" if self.problem.loss == "squared" else "mae"

    @property
    def skill_metric(self) -> str:  # type: ignore[override]  # the same
        """The loss."""
        return self.loss_metric

    def label_expression(self) -> pl.Expr:
        """The column as a float; what is not finite is missing."""
        column = pl.col(self.use_case.label.column).cast(pl.Float64)
        return pl.when(column.is_finite()).then(column)

    def summary(self, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """`mse`, `rmse`, `mae`, `bias` (mean of score less label), `decile_error`, `mean_label`,
        `mean_score`, `spread`, and `r2`.

        `loss` is the loss that decides, `loss_error` its standard error for independent rows.

        `decile_error` is the largest absolute mean error of the tenths of the rows by score: what
        calibration is for probabilities. `spread` is the labels' standard deviation; without any
        there is no `r2`.
        """
        labels, scores = _checked(labels, scores)
        errors, losses = scores - labels, self.losses(labels, scores)
        mse, spread = float((errors**2).mean()), float(labels.std())
        result = {
            "n": float(len(labels)),
            "mean_label": float(labels.mean()),
            "mean_score": float(scores.mean()),
            "spread": spread,
            "mse": mse,
            "rmse": mse**0.5,
            "mae": float(np.abs(errors).mean()),
            "bias": float(errors.mean()),
            "loss": float(losses.mean()),
            "loss_error": float(losses.std()) / len(losses) ** 0.5,
            "decile_error": max(
                abs(part["mean_score"] - part["mean_label"])
                for part in decile_means(labels, scores)
            ),
        }
        if spread > 0.0:
            result["r2"] = 1.0 - mse / spread**2
        return result

    def losses(self, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Squared or absolute errors, in the label's unit (squared)."""
        labels, scores = _checked(labels, scores)
        errors = np.abs(scores - labels)
        return np.asarray(errors**2) if self.problem.loss == "squared" else errors

    def loss_unit(self, labels: np.ndarray) -> float:
        """The labels' variance, or their mean absolute deviation from the median: the loss of the
        best constant.
        """
        if self.problem.loss == "squared":
            return float(labels.var()) or 1.0
        return float(np.abs(labels - np.median(labels)).mean()) or 1.0

    def label_spread(self, labels: np.ndarray) -> float:
        """The labels' standard deviation."""
        return float(labels.std()) or 1.0

    def base_rate(self, labels: np.ndarray) -> float:
        """The mean label."""
        return float(labels.mean())

    def prior_scores(self, prior: Prior, rows: int) -> np.ndarray:
        """The training split's mean label."""
        return np.full(rows, prior.base_rate)

    def last_value(
        self,
        transform: FeatureTransform,
        matrix: np.ndarray,
        prior: Prior,
        newest: np.ndarray | None,
    ) -> np.ndarray | None:
        """The declared `baseline_input` as it is (the mean label where it is missing), else the
        mean label of the newest training rows.
        """
        if self.use_case.baseline_input is not None:
            values = matrix[:, transform.feature_names.index(self.use_case.baseline_input)].astype(
                np.float64
            )
            return np.where(np.isnan(values), prior.base_rate, values)
        if newest is None or len(newest) == 0:
            return None
        return np.full(len(matrix), float(newest[-LAST_ROWS:].mean()))

    def intervals(
        self, labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, *, seed: int
    ) -> dict[str, Interval95]:
        """Of RMSE, MAE, bias, R2 and decile error."""
        labels, scores = _checked(labels, scores)
        drawn = resampled_clusters(clusters, seed=seed)
        if drawn is None:
            return {}
        errors = scores - labels
        squared, absolute, bias, mean, square = (
            mean_resamples(values, *drawn)
            for values in (errors**2, np.abs(errors), errors, labels, labels**2)
        )
        variance = square - mean**2
        with np.errstate(invalid="ignore", divide="ignore"):
            explained = np.where(variance > 0.0, 1.0 - squared / variance, np.nan)
        values = {"rmse": np.sqrt(squared), "mae": absolute, "bias": bias, "r2": explained}
        intervals = percentile_intervals(values, drawn[1].shape[1])
        error = binned_interval(errors, scores, clusters, bins=DECILES, seed=seed, largest=True)
        return intervals if error is None else {**intervals, "decile_error": error}

    def block_errors(
        self, labels: np.ndarray, scores: np.ndarray, blocks: np.ndarray
    ) -> dict[str, float]:
        """Of the loss that decides, of the mean squared error and of the bias."""
        labels, scores = _checked(labels, scores)
        errors = scores - labels
        deviations = {"loss": self.losses(labels, scores), "mse": errors**2, "bias": errors}
        return block_errors(deviations, blocks)

    def changes(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Absolute change, in the label's unit."""
        return np.asarray(np.abs(after - before))

    def watched(self, scores: np.ndarray) -> np.ndarray:
        """The value."""
        return scores

    def answer(self, scores: np.ndarray) -> np.ndarray:
        """The value."""
        return scores

    def label_move(
        self, frame: pl.DataFrame, former: FormerLabels, checks: DataChecks
    ) -> LabelMove:
        """By the mean, in standard deviations."""
        limit, mean = checks.max_snapshot_shift, self.base_rate(self.labels(frame))
        distance = abs(mean - former.base_rate) / (former.label_spread or 1.0)
        return LabelMove(
            distance,
            limit,
            f"within {limit} standard deviations of {{champion}}'s mean {former.base_rate:.4g}",
            f"a mean of {mean:.4g}, {distance:.3f} standard deviations away",
        )

    def enough_labels(self, labels: np.ndarray) -> str:
        """Two different values are needed."""
        return (
            ""
            if len(np.unique(labels)) >= VALUES
            else f"{len(labels)} rows of one and the same label"
        )

    def are_different(self, first: pl.DataFrame, second: pl.DataFrame) -> np.ndarray:
        """By more than a share of the first version's standard deviation."""
        scores = first["score"].to_numpy()
        apart = np.abs(second["score"].to_numpy() - scores)
        return np.asarray(apart > DIFFERENT * scores.std())

    def table_summary(self, frame: pl.DataFrame) -> dict[str, float]:
        """All metrics."""
        return self.summary(frame["label"].to_numpy(), frame["score"].to_numpy())


def decile_means(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Rows sorted by score and cut into ten groups of equal size (the first ones hold one more):
    mean score, mean label, n.
    """
    order = np.argsort(scores, kind="stable")
    groups = [group for group in np.array_split(order, DECILES) if len(group)]
    return [
        {
            "mean_score": float(scores[group].mean()),
            "mean_label": float(labels[group].mean()),
            "n": float(len(group)),
        }
        for group in groups
    ]


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1 or labels.size == 0:
        raise DataError(
            f"Metrics need one score per label and at least one row; got labels {labels.shape} and"
            f" scores {scores.shape}."
        )
    if not np.isfinite(scores).all() or not np.isfinite(labels).all():
        raise DataError("Metrics need finite labels and scores; one is missing or infinite.")
    return labels, scores
