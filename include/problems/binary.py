"""A probability of label 1: log loss, Brier score, calibration, area under the ROC curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from include.features.transform import FeatureTransform
from include.problems.base import Prior, ProblemStrategy
from include.stats.bootstrap import Interval95, bootstrap_intervals
from include.stats.metrics import log_losses, summary

if TYPE_CHECKING:
    from include.evaluation.gates.base import Gate
    from include.evaluation.plots import Plot

CLASSES = 2


class Binary(ProblemStrategy):
    """Labels 0 and 1, scores of shape (rows,)."""

    valid = "Valid are 0 and 1."

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

    def prior_scores(self, known: Prior, rows: int) -> np.ndarray:
        """The training split's base rate."""
        return np.full(rows, known.base_rate)

    def last_value(
        self,
        transform: FeatureTransform,
        matrix: np.ndarray,
        known: Prior,
        newest: np.ndarray | None,  # noqa: ARG002
    ) -> np.ndarray | None:  # a rate is declared or there is none
        """The declared `baseline_input`, the base rate where it is missing."""
        from include.evaluation.baselines import last_value

        return (
            None
            if self.use_case.baseline_input is None
            else last_value(self.use_case, transform, matrix, known.base_rate)
        )

    def intervals(
        self, labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, *, seed: int
    ) -> dict[str, Interval95]:
        """Of Brier score, log loss and AUC."""
        return bootstrap_intervals(labels, scores, clusters, seed=seed)

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

    def enough_labels(self, labels: np.ndarray) -> str:
        """Both classes are needed."""
        return (
            ""
            if len(np.unique(labels)) >= CLASSES
            else f"{len(labels)} rows of fewer than two classes"
        )

    @staticmethod
    def gates() -> tuple[Gate, ...]:
        """AUC, Brier score, calibration; per slice Brier skill and calibration."""
        from include.evaluation.gates.base import auc
        from include.evaluation.gates.calibration import CALIBRATION_GATES

        return (auc, *CALIBRATION_GATES)

    def plots(self, labels: np.ndarray, scores: np.ndarray) -> Mapping[str, Plot]:
        """ROC curve and calibration."""
        from include.evaluation.plots import calibration_plot, roc_plot

        return {
            "roc.png": roc_plot(labels, scores),
            "calibration.png": calibration_plot(labels, scores),
        }

    def table_summary(self, frame: pl.DataFrame) -> dict[str, float]:
        """All metrics."""
        return summary(frame["label"].to_numpy(), frame["score"].to_numpy())
