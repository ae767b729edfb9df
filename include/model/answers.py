"""How the scores of a model become answers: of one row at the endpoint, of a million in a batch.

An answer is what a packaged model says of itself (metadata.json), so no use case is needed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from include.spec import ProblemKind
from include.spec.problem import BINARY_CLASSES


class Answers(ABC):
    """What scores mean. One score is a float, of several classes a list of probabilities."""

    meaning: ClassVar[str]
    """What a score is, in words."""
    threshold: float | None = None
    """From which score on a decision is positive; None where nothing is decided."""
    class_names: tuple[str, ...] = ()
    """The classes in the order of the probabilities."""
    has_one_score: ClassVar[bool] = True
    """Whether a row has one raw score, which the contributions of its inputs add up to."""

    def empty(self) -> np.ndarray:
        """The scores of no row."""
        return np.empty(0, dtype=np.float64)

    @abstractmethod
    def from_sklearn(self, estimator: Any, matrix: np.ndarray) -> np.ndarray:
        """The scores of a fitted estimator of scikit-learn for a matrix."""

    @abstractmethod
    def columns(self, scores: np.ndarray) -> list[pl.Series]:
        """The columns of a table of predictions: `score`, `decision`, and what the problem adds."""

    @abstractmethod
    def fields(self, score: Any) -> dict[str, Any]:
        """What the endpoint answers for one row."""

    def no_score(self) -> Any:
        """What stands for the score of a row that could not be scored."""
        return math.nan

    def main_score(self, score: Any) -> float:
        """The one number of a row that the log keeps."""
        return float(score)

    def decision(self, score: Any) -> bool:  # noqa: ARG002  # only a probability decides
        """Whether the decision is positive."""
        return False

    def predicted_class(self, score: Any) -> str | None:  # noqa: ARG002  # only of several classes
        """The most probable class."""
        return None


@dataclass(frozen=True)
class RateAnswers(Answers):
    """The probability of label 1, and a decision from the threshold on."""

    threshold: float
    meaning = "probability of label 1"

    def from_sklearn(self, estimator: Any, matrix: np.ndarray) -> np.ndarray:
        """The probability of label 1; 0 where the training rows had none."""
        return _probabilities(estimator, matrix, BINARY_CLASSES)[:, 1]

    def columns(self, scores: np.ndarray) -> list[pl.Series]:
        """Probability and decision."""
        return [
            pl.Series("score", scores, dtype=pl.Float64),
            pl.Series("decision", scores >= self.threshold, dtype=pl.Boolean),
        ]

    def fields(self, score: Any) -> dict[str, Any]:
        """Probability and decision."""
        return {"probability": score, "decision": self.decision(score)}

    def decision(self, score: Any) -> bool:
        """Positive from the threshold on."""
        return bool(score >= self.threshold)


@dataclass(frozen=True)
class ClassAnswers(Answers):
    """The probabilities of several classes, and the most probable one."""

    class_names: tuple[str, ...]
    meaning = "probability of each class"
    has_one_score = False

    def empty(self) -> np.ndarray:
        """No row of all classes."""
        return np.empty((0, len(self.class_names)), dtype=np.float64)

    def from_sklearn(self, estimator: Any, matrix: np.ndarray) -> np.ndarray:
        """The probabilities; 0 of a class that the training rows did not hold."""
        return _probabilities(estimator, matrix, len(self.class_names))

    def columns(self, scores: np.ndarray) -> list[pl.Series]:
        """The predicted class's probability, no decision, and the predicted class."""
        best = np.asarray(self.class_names, dtype=object)[scores.argmax(axis=1)]
        return [
            pl.Series("score", scores.max(axis=1), dtype=pl.Float64),
            _undecided(len(scores)),
            pl.Series("predicted_class", best.tolist(), dtype=pl.String),
        ]

    def fields(self, score: Sequence[float]) -> dict[str, Any]:
        """The predicted class and all probabilities."""
        return {
            "class": self.predicted_class(score),
            "probabilities": dict(zip(self.class_names, score, strict=True)),
        }

    def no_score(self) -> list[float]:
        """What stands for the probabilities of a row that could not be scored."""
        return [math.nan] * len(self.class_names)

    def main_score(self, score: Sequence[float]) -> float:
        """The predicted class's probability."""
        return max(score)

    def predicted_class(self, score: Sequence[float]) -> str | None:
        """The first of the most probable classes; None where there is no score."""
        best = max(score)
        return None if math.isnan(best) else self.class_names[score.index(best)]


@dataclass(frozen=True)
class ValueAnswers(Answers):
    """A number in the label's unit."""

    meaning = "value in the label's unit"

    def from_sklearn(self, estimator: Any, matrix: np.ndarray) -> np.ndarray:
        """The predictions as they are."""
        return np.asarray(estimator.predict(matrix), dtype=np.float64).reshape(len(matrix))

    def columns(self, scores: np.ndarray) -> list[pl.Series]:
        """The value, no decision."""
        return [pl.Series("score", scores, dtype=pl.Float64), _undecided(len(scores))]

    def fields(self, score: Any) -> dict[str, Any]:
        """The value."""
        return {"value": score}


def answers_of(kind: ProblemKind, classes: tuple[str, ...], threshold: float) -> Answers:
    """The answers of a packaged model, by what its metadata say."""
    made: dict[ProblemKind, Answers] = {
        "binary": RateAnswers(threshold),
        "multiclass": ClassAnswers(classes),
        "regression": ValueAnswers(),
    }
    return made[kind]


def _undecided(rows: int) -> pl.Series:
    return pl.Series("decision", [None] * rows, dtype=pl.Boolean)


def _probabilities(estimator: Any, matrix: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of shape (rows, classes); a class that the estimator never saw has 0."""
    seen = np.asarray(estimator.predict_proba(matrix), dtype=np.float64)
    result = np.zeros((len(matrix), classes))
    result[:, np.asarray(estimator.classes_, dtype=np.int64)] = seen
    return result
