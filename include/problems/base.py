"""What differs between binary, multiclass and regression problems, as one strategy each; everything
else of the evaluation is shared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.spec import UseCase
from include.stats.bootstrap import Interval95

LAST_ROWS = 1000
"""Without a declared `baseline_input`, the last value is what the newest training rows show."""


class Prior(Protocol):
    """What a package's metadata tell of the training labels."""

    @property
    def base_rate(self) -> float:
        """Share of positives, or the mean label of a regression."""

    @property
    def prior(self) -> tuple[float, ...]:
        """Shares of all classes of a multiclass problem."""


@dataclass(frozen=True)
class ProblemStrategy(ABC):
    """One problem of one use case.

    Labels have shape (rows,); scores (rows,), of a multiclass problem (rows, classes). Losses are
    non-negative and lower is better.
    """

    use_case: UseCase

    loss_metric = "logloss"
    """The metric in `summary` that is the mean of `losses`."""
    skill_metric = "brier"
    """The metric by which a first model must beat the prior."""
    baseline_metrics: ClassVar[tuple[str, ...]] = ("auc", "brier", "logloss")
    """What is recorded of baselines."""
    simple_name = "logistic regression"

    @abstractmethod
    def label_expression(self) -> pl.Expr:
        """The label column as the number that metrics take; null where it is missing or no valid
        label.
        """

    def labels(self, frame: pl.DataFrame) -> np.ndarray:
        """Labels of the frame's rows. Raises `DataError` where one is missing or not valid."""
        found = frame.select(self.label_expression())[:, 0]
        if found.null_count():
            column = self.use_case.label.column
            wrong = frame.filter(found.is_null())[column].unique().head(5).to_list()
            raise DataError(
                f"{self.use_case.name}: {found.null_count()} labels in column {column!r} are not"
                f" valid: {wrong}. {self.valid}"
            )
        return found.to_numpy()

    @property
    @abstractmethod
    def valid(self) -> str:
        """Which labels are valid, as a sentence."""

    @abstractmethod
    def summary(self, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """All metrics by name; one that is not defined for these rows is left out."""

    @abstractmethod
    def losses(self, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Loss of every row, shape (rows,)."""

    def loss_unit(self, labels: np.ndarray) -> float:  # noqa: ARG002  # only a regression's loss has a unit
        """What a loss is divided by to be compared with a threshold."""
        return 1.0

    def label_spread(self, labels: np.ndarray) -> float:  # noqa: ARG002  # the same
        """What a change of a score is divided by to be compared with a threshold."""
        return 1.0

    @abstractmethod
    def base_rate(self, labels: np.ndarray) -> float:
        """One number for the labels: share of positives, mean, or share of the commonest class."""

    def class_shares(self, labels: np.ndarray) -> tuple[float, ...]:  # noqa: ARG002  # only of several classes
        """Shares of all classes; empty where there are not several."""
        return ()

    @abstractmethod
    def prior_scores(self, known: Prior, rows: int) -> np.ndarray:
        """The prior's answer for that many rows."""

    @abstractmethod
    def last_value(
        self,
        transform: FeatureTransform,
        matrix: np.ndarray,
        known: Prior,
        newest: np.ndarray | None,
    ) -> np.ndarray | None:
        """The last known value's answer;

        `newest` are the labels of the newest training rows. `None` where there is neither.
        """

    @abstractmethod
    def intervals(
        self, labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, *, seed: int
    ) -> dict[str, Interval95]:
        """95 % intervals by metric, from resampling whole clusters."""

    @abstractmethod
    def changes(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """How far each row's score moved, non-negative, shape (rows,): in probability, or in the
        label's unit.
        """

    @abstractmethod
    def watched(self, scores: np.ndarray) -> np.ndarray:
        """The score that directional expectations are about, shape (rows,)."""

    @abstractmethod
    def answer(self, scores: np.ndarray) -> np.ndarray:
        """The one number per row that tables, drift and the reference distribution keep, shape
        (rows,).
        """

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """1 where the decision is positive, shape (rows,)."""
        raise DataError(
            f"{self.use_case.name}: a {self.use_case.problem} decides nothing; {len(scores)} scores"
            " were given."
        )

    def positives(self, labels: np.ndarray) -> np.ndarray:
        """1 where the label is positive, shape (rows,)."""
        raise DataError(
            f"{self.use_case.name}: a {self.use_case.problem} has no positive label; {len(labels)}"
            " labels were given."
        )

    @abstractmethod
    def enough_labels(self, labels: np.ndarray) -> str:
        """Why a split with these labels can neither train nor test; empty if it can."""

    @abstractmethod
    def table_summary(self, frame: pl.DataFrame) -> dict[str, float]:
        """Metrics of a table of predictions: columns `label` (a number, none missing), `score`, of
        several classes `predicted_class`.
        """


def only(metrics: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The named metrics, in that order, as far as they are there."""
    return {name: metrics[name] for name in names if name in metrics}
