"""Probabilities of several classes: log loss, Brier score, macro AUC, accuracy, calibration of the
predicted class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.model.answers import ClassAnswers
from include.problems.base import LAST_ROWS, FormerLabels, LabelMove, Prior, ProblemStrategy
from include.spec import DataChecks, Multiclass
from include.stats.bootstrap import (
    Interval95,
    auc_resamples,
    binned_interval,
    mean_resamples,
    percentile_intervals,
    resampled_clusters,
)
from include.stats.clustered import block_errors
from include.stats.metrics import CALIBRATION_BINS, LOG_LOSS_CLIP, calibration_error, roc_auc

CLASSES = 2
SUM_TOLERANCE = 1e-3
PREDICTED = "predicted_class"
SMOOTHING = 0.01
"""A class that the newest rows lack is not impossible: this share of the last value is the prior.
"""


class MulticlassStrategy(ProblemStrategy[Multiclass]):
    """Labels are class numbers, scores have shape (rows, classes) and sum to 1 in every row."""

    baseline_metrics = ("accuracy", "auc", "brier", "logloss")
    monitored_metrics = ("accuracy", "ece")

    headline_metric = "accuracy"
    estimated_metric = None
    score_kind = "several"

    def alarms_at(self, before: float) -> float | None:
        """By the declared drop of the accuracy."""
        return before - self.use_case.monitoring.max_accuracy_drop

    @property
    def answers(self) -> ClassAnswers:
        """The predicted class and all probabilities."""
        return ClassAnswers(self.classes)

    def booster_objective(self) -> dict[str, Any]:
        """Log loss over the classes."""
        return {
            "objective": "multi:softprob",
            "eval_metric": "mlogloss",
            "num_class": len(self.classes),
        }

    def row_weights(self, labels: np.ndarray) -> np.ndarray | None:
        """The declared weight of every row's class."""
        weights = self.use_case.training.class_weights
        return None if weights is None else np.asarray(weights, dtype=np.float64)[labels]

    def one_against_rest(self, labels: np.ndarray) -> list[np.ndarray]:
        """Each class against the others."""
        return [(labels == place).astype(np.int64) for place in range(len(self.classes))]

    def can_measure(self, answered: pl.DataFrame) -> bool:
        """Whether every answer tells its predicted class."""
        return PREDICTED in answered.columns and not answered[PREDICTED].null_count()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the probabilities."""
        return self.problem.classes

    @property
    def example_label(self) -> str:
        """The first class."""
        return self.classes[0]

    @property
    def valid(self) -> str:
        """Which labels are valid."""
        return (
            f"Valid are numbers, cut at {self.problem.bounds}."
            if self.problem.bounds
            else f"Valid are {self.classes}."
        )

    def label_expression(self) -> pl.Expr:
        """The class's number: the place of its name, or how many bounds the value exceeds."""
        column = pl.col(self.use_case.label.column)
        if self.problem.bounds:
            above = pl.sum_horizontal(
                [(column > bound).cast(pl.Int64) for bound in self.problem.bounds]
            )
            return (
                pl.when(column.is_not_null() & column.cast(pl.Float64).is_not_nan())
                .then(above)
                .cast(pl.Int64)
                .alias(self.use_case.label.column)
            )
        places = {name: place for place, name in enumerate(self.classes)}
        return column.cast(pl.String).replace_strict(places, default=None, return_dtype=pl.Int64)

    def summary(self, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """`logloss` (nats), `brier` (0 to 2), `brier_skill` (against the rows' own class shares),
        `accuracy`, `balanced_accuracy`, `ece`.

        `ece` compares the predicted class's probability with how often it is right; `mean_score` is
        the mean of that probability. `auc` is the mean over classes of each against the rest (Hand
        and Till's simpler cousin), `class.<class>.auc` its parts; both only where every class has
        rows. `class.<class>.share` and `class.<class>.recall` follow.
        """
        labels, scores = self._checked(labels, scores)
        happened = np.eye(len(self.classes))[labels]
        predicted, top = scores.argmax(axis=1), scores.max(axis=1)
        right = (predicted == labels).astype(np.int64)
        shares = happened.mean(axis=0)
        result = {
            "n": float(len(labels)),
            "accuracy": float(right.mean()),
            "mean_score": float(top.mean()),
            "logloss": float(self.losses(labels, scores).mean()),
            "brier": float(((scores - happened) ** 2).sum(axis=1).mean()),
            "ece": calibration_error(right, np.clip(top, 0.0, 1.0)),
        }
        prior_brier = 1.0 - float((shares**2).sum())
        if prior_brier > 0.0:
            result["brier_skill"] = 1.0 - result["brier"] / prior_brier
        recalls = self._shares_and_recalls(result, shares, right, labels)
        if shares.all():
            areas = {
                _of_class(name, "auc"): roc_auc(
                    happened[:, place].astype(np.int64), np.clip(scores[:, place], 0.0, 1.0)
                )
                for place, name in enumerate(self.classes)
            }
            result |= {
                **areas,
                "auc": float(np.mean(list(areas.values()))),
                "balanced_accuracy": float(np.mean(recalls)),
            }
        return result

    def losses(self, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Minus the logarithm of the probability given to what happened, in nats."""
        labels, scores = self._checked(labels, scores)
        return np.asarray(
            -np.log(np.clip(scores[np.arange(len(labels)), labels], LOG_LOSS_CLIP, 1.0))
        )

    def base_rate(self, labels: np.ndarray) -> float:
        """Share of the commonest class."""
        return max(self.class_shares(labels))

    def class_shares(self, labels: np.ndarray) -> tuple[float, ...]:
        """Shares of the classes, in their order."""
        return tuple(
            float(share)
            for share in np.bincount(labels, minlength=len(self.classes)) / max(1, len(labels))
        )

    def prior_scores(self, prior: Prior, rows: int) -> np.ndarray:
        """The training split's class shares."""
        return np.tile(np.asarray(prior.prior), (rows, 1))

    def last_value(
        self,
        transform: FeatureTransform,  # noqa: ARG002
        matrix: np.ndarray,
        prior: Prior,
        newest: np.ndarray | None,
    ) -> np.ndarray | None:  # shares are one answer for all rows
        """The class shares of the newest training rows, with a hundredth of the prior."""
        if newest is None or len(newest) == 0:
            return None
        shares = (1.0 - SMOOTHING) * np.asarray(
            self.class_shares(newest[-LAST_ROWS:])
        ) + SMOOTHING * np.asarray(prior.prior)
        return np.tile(shares, (len(matrix), 1))

    def intervals(
        self, labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, *, seed: int
    ) -> dict[str, Interval95]:
        """Of log loss, Brier score, accuracy, calibration error and, where every class has rows,
        macro AUC.
        """
        labels, scores = self._checked(labels, scores)
        drawn = resampled_clusters(clusters, seed=seed)
        if drawn is None:
            return {}
        member, times = drawn
        happened = np.eye(len(self.classes))[labels]
        values = {
            "logloss": mean_resamples(self.losses(labels, scores), member, times),
            "brier": mean_resamples(((scores - happened) ** 2).sum(axis=1), member, times),
            "accuracy": mean_resamples(
                (scores.argmax(axis=1) == labels).astype(np.float64), member, times
            ),
        }
        if happened.any(axis=0).all():
            areas = [
                auc_resamples(happened[:, place].astype(np.int64), scores[:, place], member, times)
                for place in range(len(self.classes))
            ]
            values["auc"] = np.mean(areas, axis=0)
        intervals = percentile_intervals(values, times.shape[1])
        top = scores.max(axis=1)
        errors = top - (scores.argmax(axis=1) == labels)
        error = binned_interval(errors, top, clusters, bins=CALIBRATION_BINS, seed=seed)
        return intervals if error is None else {**intervals, "ece": error}

    def block_errors(
        self, labels: np.ndarray, scores: np.ndarray, blocks: np.ndarray
    ) -> dict[str, float]:
        """Of the accuracy and of the gap between the predicted class's mean probability and it."""
        labels, scores = self._checked(labels, scores)
        return _block_errors(scores.argmax(axis=1) == labels, scores.max(axis=1), blocks)

    def changes(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Mean absolute change over the classes' probabilities."""
        return np.asarray(np.abs(after - before).mean(axis=1))

    def watched(self, scores: np.ndarray) -> np.ndarray:
        """The probability of the declared positive class."""
        return np.asarray(scores[:, self._positive()])

    def answer(self, scores: np.ndarray) -> np.ndarray:
        """The probability of the predicted class."""
        return np.asarray(scores.max(axis=1)) if len(scores) else np.empty(0)

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """Positive where the declared positive class is the predicted one."""
        return np.asarray(scores.argmax(axis=1) == self._positive()).astype(np.int64)

    def positives(self, labels: np.ndarray) -> np.ndarray:
        """1 for the declared positive class."""
        return np.asarray(labels == self._positive()).astype(np.int64)

    def label_move(
        self, frame: pl.DataFrame, former: FormerLabels, checks: DataChecks
    ) -> LabelMove:
        """By the share of the class that moved furthest."""
        limit, shares = checks.max_label_change, self.class_shares(self.labels(frame))
        return LabelMove(
            max(
                (abs(new - old) for new, old in zip(shares, former.prior, strict=False)),
                default=1.0,
            ),
            limit,
            f"within {limit} of {{champion}}'s {_shares(former.prior)}",
            f"class shares {_shares(shares)}",
        )

    def enough_labels(self, labels: np.ndarray) -> str:
        """Every class is needed."""
        absent = [name for place, name in enumerate(self.classes) if not (labels == place).any()]
        return f"{len(labels)} rows, none of the classes {absent}" if absent else ""

    def row_losses(self, frame: pl.DataFrame) -> np.ndarray:
        """1 where the predicted class is wrong."""
        places = {name: place for place, name in enumerate(self.classes)}
        predicted = frame[PREDICTED].replace_strict(places, return_dtype=pl.Int64).to_numpy()
        return np.asarray(predicted != frame["label"].to_numpy()).astype(np.float64)

    def are_different(self, first: pl.DataFrame, second: pl.DataFrame) -> np.ndarray:
        """By the predicted class."""
        return (first[PREDICTED] != second[PREDICTED]).to_numpy()

    def table_summary(self, frame: pl.DataFrame) -> dict[str, float]:
        """Accuracy, calibration of the predicted class, shares and recalls: what a table tells that
        keeps one probability a row.
        """
        labels, top = frame["label"].to_numpy(), np.clip(frame["score"].to_numpy(), 0.0, 1.0)
        places = {name: place for place, name in enumerate(self.classes)}
        predicted = frame[PREDICTED].replace_strict(places, return_dtype=pl.Int64).to_numpy()
        right = (predicted == labels).astype(np.int64)
        shares = self.class_shares(labels)
        result = {
            "n": float(len(labels)),
            "accuracy": float(right.mean()),
            "mean_score": float(top.mean()),
        }
        result["ece"] = calibration_error(right, top)
        self._shares_and_recalls(result, shares, right, labels)
        return result

    def table_block_errors(self, frame: pl.DataFrame, blocks: np.ndarray) -> dict[str, float]:
        """The same."""
        return _block_errors(self.row_losses(frame) == 0.0, frame["score"].to_numpy(), blocks)

    def _shares_and_recalls(
        self,
        result: dict[str, float],
        shares: Sequence[float] | np.ndarray,
        right: np.ndarray,
        labels: np.ndarray,
    ) -> list[float]:
        """Add every class's share and, where it has rows, its recall; give the recalls."""
        recalls: list[float] = []
        for place, name in enumerate(self.classes):
            result[_of_class(name, "share")] = float(shares[place])
            if shares[place]:
                recalls.append(float(right[labels == place].mean()))
                result[_of_class(name, "recall")] = recalls[-1]
        return recalls

    def _positive(self) -> int:
        positive = self.problem.positive
        if positive is None:
            raise DataError(
                f"{self.use_case.name} declares no problem.positive, which this judgement is about."
            )
        return self.classes.index(positive)

    def _checked(self, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
        if labels.ndim != 1 or labels.size == 0 or scores.shape != (len(labels), len(self.classes)):
            raise DataError(
                f"Metrics of {len(self.classes)} classes need scores of shape (rows,"
                f" {len(self.classes)}) and a label each; got labels {labels.shape} and scores"
                f" {scores.shape}."
            )
        if (
            not np.isfinite(scores).all()
            or scores.min() < 0.0
            or np.abs(scores.sum(axis=1) - 1.0).max() > SUM_TOLERANCE
        ):
            raise DataError(
                "Metrics of several classes need probabilities that sum to 1 in every row; a row"
                " does not, or is not a number."
            )
        if not np.isin(labels, np.arange(len(self.classes))).all():
            raise DataError(
                f"Metrics need class numbers from 0 to {len(self.classes) - 1}; another value is"
                " among the labels."
            )
        return labels.astype(np.int64), scores


def _block_errors(right: np.ndarray, top: np.ndarray, blocks: np.ndarray) -> dict[str, float]:
    hits = right.astype(np.float64)
    return block_errors({"accuracy": hits, "gap": top - hits}, blocks)


def _of_class(name: str, metric: str) -> str:
    """A class may be called like an interval's bound (`low`), so its metrics have a place apart."""
    return f"class.{name}.{metric}"


def _shares(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.2%}" for value in values)
