"""What differs between binary, multiclass and regression problems, as one strategy each; everything
else of the evaluation is shared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.model.answers import Answers
from include.spec import DataChecks, UseCase
from include.spec.problem import ProblemDeclaration
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


Declared_co = TypeVar("Declared_co", bound=ProblemDeclaration, covariant=True)


class FormerLabels(Prior, Protocol):
    """The same with their spread."""

    @property
    def label_spread(self) -> float | None:
        """The standard deviation of a regression's labels."""


@dataclass(frozen=True)
class LabelMove:
    """How far labels have moved from a champion's: `expected` names it as `{champion}`."""

    distance: float
    limit: float
    expected: str
    observed: str


@dataclass(frozen=True)
class Unfit:
    """Why labels can neither train nor test: the rule, what it expects, what was seen."""

    rule: str
    expected: str
    observed: str


ScoreKind = Literal["probability", "value", "several"]
"""A chance of an event, a number, or chances of several classes."""


@dataclass(frozen=True)
class ProblemStrategy(ABC, Generic[Declared_co]):
    """One problem of one use case: `problem` is what the use case declares of it.

    Labels have shape (rows,); scores (rows,), of a multiclass problem (rows, classes). Losses are
    non-negative and lower is better.
    """

    use_case: UseCase
    problem: Declared_co

    loss_metric = "logloss"
    """The metric in `summary` that is the mean of `losses`."""
    skill_metric = "brier"
    """The metric by which a first model must beat the prior."""
    baseline_metrics: ClassVar[tuple[str, ...]] = ("auc", "brier", "logloss")
    """What is recorded of baselines."""
    simple_name = "logistic regression"
    monitored_metrics: ClassVar[tuple[str, ...]] = ()
    """Metrics of an interval's labels that a problem has beside those of a binary one."""
    headline_metric: ClassVar[str] = "auc"
    """The metric of an interval's labels by which its performance is shown over time."""
    estimated_metric: ClassVar[str | None] = "auc"
    """What monitoring estimates of it without labels; None where it estimates nothing."""
    compares_auc: ClassVar[bool] = False
    """Whether a slice's AUC is compared with the champion's beside its loss."""
    estimator_kind: ClassVar[Literal["classifier", "regressor"]] = "classifier"
    """What scikit-learn must take an estimator for."""
    score_kind: ClassVar[ScoreKind] = "probability"
    """What a row's scores are."""
    scoring_method: ClassVar[str] = "predict_proba"
    """The method of scikit-learn that gives the scores."""

    @abstractmethod
    def alarms_at(self, before: float) -> float | None:
        """The value of the headline metric from which on monitoring alarms, where it was `before`
        on the test split; None where no limit is about it.
        """

    @property
    @abstractmethod
    def answers(self) -> Answers:
        """How scores become answers."""

    @property
    def validation_loss(self) -> str:
        """The loss on the validation split by which rounds are stopped and trials compared."""
        return "logloss"

    @abstractmethod
    def booster_objective(self) -> dict[str, Any]:
        """XGBoost's `objective` and `eval_metric`, and what else follows from the problem."""

    def booster_weights(self) -> dict[str, Any]:
        """The declared class weights as parameters of XGBoost; empty where none are declared or
        they weigh rows.
        """
        return {}

    def row_weights(self, labels: np.ndarray) -> np.ndarray | None:  # noqa: ARG002  # only of several classes
        """The weights of rows that XGBoost is given instead, shape (rows,)."""
        return None

    def simple_estimator(self, *, seed: int, iterations: int) -> Any:  # scikit-learn is untyped
        """The simple model that a candidate has to come near to, not fitted."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=iterations, tol=1e-3, random_state=seed)

    @abstractmethod
    def one_against_rest(self, labels: np.ndarray) -> list[np.ndarray]:
        """The labels as 0 and 1, in as many ways as an input could give them away."""

    def recorded_spread(self, labels: np.ndarray) -> float | None:  # noqa: ARG002  # of a number only
        """The labels' standard deviation for the package's metadata;

        None where it tells nothing.
        """
        return None

    unsound: ClassVar[str] = "not probabilities (not finite, or outside 0 to 1)"
    """What is wrong with a score that `are_sound` refuses."""

    def are_sound(self, answers: np.ndarray) -> np.ndarray:
        """Where the one number that a table keeps of a row can be one, shape (rows,)."""
        return np.asarray((answers >= 0.0) & (answers <= 1.0))

    def can_measure(self, answered: pl.DataFrame) -> bool:  # noqa: ARG002  # a class may be missing
        """Whether a log's answers tell all that metrics need."""
        return True

    @abstractmethod
    def label_expression(self) -> pl.Expr:
        """The label column as the number that metrics take; null where it is missing or no valid
        label.
        """

    def labels(self, frame: pl.DataFrame) -> np.ndarray:
        """Labels of the frame's rows. Raises `DataError` where one is missing or not valid."""
        values = frame.select(self.label_expression())[:, 0]
        if values.null_count():
            column = self.use_case.label.column
            wrong = frame.filter(values.is_null())[column].unique().head(5).to_list()
            raise DataError(
                f"{self.use_case.name}: {values.null_count()} labels in column {column!r} are not"
                f" valid: {wrong}. {self.valid}"
            )
        return values.to_numpy()

    @property
    @abstractmethod
    def example_label(self) -> int | float | str:
        """A valid label, as feedback tells it."""

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
    def prior_scores(self, prior: Prior, rows: int) -> np.ndarray:
        """The prior's answer for that many rows."""

    @abstractmethod
    def last_value(
        self,
        transform: FeatureTransform,
        matrix: np.ndarray,
        prior: Prior,
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
    def block_errors(
        self, labels: np.ndarray, scores: np.ndarray, blocks: np.ndarray
    ) -> dict[str, float]:
        """How sure the metrics are by which decay is decided, where rows of a block share a cause
        (`include.stats.clustered.block_errors`).
        """

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
            f"{self.use_case.name}: a {self.problem.kind} decides nothing; {len(scores)} scores"
            " were given."
        )

    def positives(self, labels: np.ndarray) -> np.ndarray:
        """1 where the label is positive, shape (rows,)."""
        raise DataError(
            f"{self.use_case.name}: a {self.problem.kind} has no positive label; {len(labels)}"
            " labels were given."
        )

    @abstractmethod
    def label_move(
        self, frame: pl.DataFrame, former: FormerLabels, checks: DataChecks
    ) -> LabelMove:
        """How far the labels of a training set are from those of the champion's."""

    def unfit(self, frame: pl.DataFrame) -> Unfit | None:
        """Why the labels of a training set can neither train nor test; None if they can."""
        try:
            lacking = self.enough_labels(self.labels(frame)) if frame.height else "no row"
        except DataError as error:
            return Unfit("valid labels", self.valid, str(error))
        if not lacking:
            return None
        return Unfit("labels to learn from", "every class, or two values", lacking)

    @abstractmethod
    def enough_labels(self, labels: np.ndarray) -> str:
        """Why a split with these labels can neither train nor test; empty if it can."""

    @abstractmethod
    def table_summary(self, frame: pl.DataFrame) -> dict[str, float]:
        """Metrics of a table of predictions: columns `label` (a number, none missing), `score`, of
        several classes `predicted_class`.
        """

    def table_block_errors(self, frame: pl.DataFrame, blocks: np.ndarray) -> dict[str, float]:
        """`block_errors` of such a table."""
        return self.block_errors(frame["label"].to_numpy(), frame["score"].to_numpy(), blocks)

    def row_losses(self, frame: pl.DataFrame) -> np.ndarray:
        """The loss of every row of such a table that releases compare versions by, shape (rows,):
        the squared error of the score.
        """
        return np.asarray((frame["score"].to_numpy() - frame["label"].to_numpy()) ** 2)

    def are_different(self, first: pl.DataFrame, second: pl.DataFrame) -> np.ndarray:
        """Where two versions decide the same row otherwise, boolean of shape (rows,); both frames
        hold the log's columns of the same rows.
        """
        return (first["decision"] != second["decision"]).to_numpy()


def only(metrics: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The named metrics, in that order, as far as they are there."""
    return {name: metrics[name] for name in names if name in metrics}
