"""A probability of label 1: log loss, Brier score, calibration, area under the ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.model.answers import RateAnswers
from include.problems.base import (
    LAST_ROWS,
    FormerLabels,
    LabelMove,
    Prior,
    ProblemStrategy,
    Unfit,
)
from include.spec import Binary, DataChecks, UseCase
from include.stats.bootstrap import Interval95, binned_interval, bootstrap_intervals
from include.stats.clustered import block_errors
from include.stats.metrics import CALIBRATION_BINS, log_losses, summary

CLASSES = 2
CERTAINTY = 0.01
"""A rate of 0 or 1 over few rows is no certainty: a last value is kept this far from both, so that
its log loss stays finite.
"""


class BinaryStrategy(ProblemStrategy[Binary]):
    """Labels 0 and 1, scores of shape (rows,)."""

    valid = "Valid are 0 and 1."
    example_label = 1
    compares_auc = True

    def alarms_at(self, before: float) -> float | None:
        """By the declared drop of the AUC."""
        return before - self.use_case.monitoring.max_auc_drop

    @property
    def answers(self) -> RateAnswers:
        """Probability and decision."""
        return RateAnswers(self.use_case.serving.decision_threshold)

    def booster_objective(self) -> dict[str, Any]:
        """Log loss."""
        return {"objective": "binary:logistic", "eval_metric": "logloss"}

    def booster_weights(self) -> dict[str, Any]:
        """The weight of label 1 relative to label 0."""
        weights = self.use_case.training.class_weights
        return {} if weights is None else {"scale_pos_weight": weights[1] / weights[0]}

    def one_against_rest(self, labels: np.ndarray) -> list[np.ndarray]:
        """The label itself."""
        return [labels]

    def label_expression(self) -> pl.Expr:
        """The column as an integer."""
        return pl.col(self.use_case.label.column).cast(pl.Int64)

    def summary(self, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """`include.stats.metrics.summary`."""
        return summary(labels, scores)

    def losses(self, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Log losses in nats."""
        return log_losses(labels, scores)

    def base_rate(self, labels: np.ndarray) -> float:
        """Share of label 1."""
        return float(labels.mean())

    def prior_scores(self, prior: Prior, rows: int) -> np.ndarray:
        """The training split's base rate."""
        return np.full(rows, prior.base_rate)

    def last_value(
        self,
        transform: FeatureTransform,
        matrix: np.ndarray,
        prior: Prior,
        newest: np.ndarray | None,
    ) -> np.ndarray | None:
        """The declared `baseline_input` (the base rate where it is missing), else the share of
        positives of the newest training rows.
        """
        if self.use_case.baseline_input is not None:
            return last_value(self.use_case, transform, matrix, prior.base_rate)
        if newest is None or len(newest) == 0:
            return None
        rate = np.clip(newest[-LAST_ROWS:].mean(), CERTAINTY, 1.0 - CERTAINTY)
        return np.full(len(matrix), float(rate))

    def intervals(
        self, labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, *, seed: int
    ) -> dict[str, Interval95]:
        """Of Brier score, log loss, AUC and calibration error."""
        intervals = bootstrap_intervals(labels, scores, clusters, seed=seed)
        error = binned_interval(scores - labels, scores, clusters, bins=CALIBRATION_BINS, seed=seed)
        return intervals if error is None else {**intervals, "ece": error}

    def block_errors(
        self, labels: np.ndarray, scores: np.ndarray, blocks: np.ndarray
    ) -> dict[str, float]:
        """Of the AUC and of the gap between mean score and observed rate."""
        return block_errors({"gap": scores - labels}, blocks, (labels, scores))

    def changes(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Absolute change of the probability."""
        return np.asarray(np.abs(after - before))

    def watched(self, scores: np.ndarray) -> np.ndarray:
        """The probability."""
        return scores

    def answer(self, scores: np.ndarray) -> np.ndarray:
        """The probability."""
        return scores

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """Positive from the declared decision threshold on."""
        return np.asarray(scores >= self.use_case.serving.decision_threshold).astype(np.int64)

    def positives(self, labels: np.ndarray) -> np.ndarray:
        """The label."""
        return labels

    def label_move(
        self, frame: pl.DataFrame, former: FormerLabels, checks: DataChecks
    ) -> LabelMove:
        """By the share of positives."""
        share = frame.select(pl.col(self.use_case.label.column).cast(pl.Float64).mean()).item()
        share, limit = share or 0.0, checks.max_label_change
        return LabelMove(
            abs(share - former.base_rate),
            limit,
            f"within {limit} of {{champion}}'s {former.base_rate:.2%}",
            f"{share:.2%} positive",
        )

    def unfit(self, frame: pl.DataFrame) -> Unfit | None:
        """The label is 0 or 1, and both occur."""
        values = frame[self.use_case.label.column].unique().sort().to_list()
        return None if values == [0, 1] else Unfit("both classes", "[0, 1]", str(values[:10]))

    def enough_labels(self, labels: np.ndarray) -> str:
        """Both classes are needed."""
        return (
            ""
            if len(np.unique(labels)) >= CLASSES
            else f"{len(labels)} rows of fewer than two classes"
        )

    def table_summary(self, frame: pl.DataFrame) -> dict[str, float]:
        """All metrics."""
        return summary(frame["label"].to_numpy(), frame["score"].to_numpy())


def last_value(
    use_case: UseCase, transform: FeatureTransform, matrix: np.ndarray, base_rate: float
) -> np.ndarray:
    """The declared `baseline_input` as the probability, float64 of shape (rows,); the base rate
    where it is missing.

    Raises `DataError` when the use case declares none.
    """
    if use_case.baseline_input is None:
        raise DataError(
            f"{use_case.name} declares no baseline_input: name the input that holds the latest"
            " known rate."
        )
    values = matrix[:, transform.feature_names.index(use_case.baseline_input)].astype(np.float64)
    return np.clip(np.where(np.isnan(values), base_rate, values), CERTAINTY, 1.0 - CERTAINTY)
