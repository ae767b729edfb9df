"""The models of several trainings on the same golden rows, scored now: the only comparison in which
nothing but the models differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.data_sets.golden import read_golden, recorded, with_later_columns
from include.errors import DataError, FlightdeckError, RegistryError
from include.evaluation.evaluate import day_clusters, labels_of
from include.experiments.runs import Training
from include.model.package import ScoringModel, load_model
from include.problems.registry import strategy_of
from include.registry.run_files import read_text
from include.registry.versions import download_package
from include.settings import Settings
from include.spec import UseCase
from include.stats.metrics import log_losses, roc_auc
from include.stats.paired import Difference, auc_difference, paired_bootstrap
from include.training.record import RECORD_FILE, TrainingRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient


def compare_on_golden(
    client: MlflowClient, settings: Settings, trainings: Sequence[Training]
) -> dict[str, Any]:
    """`{"rows", "days", "table", "models": [{"name", <metric>, ..., "differences": {metric: {mean,
    low, high}}}]}`.

    Metrics are `auc`, `brier` and `logloss` of a rate, else the loss of the problem.
    Differences are to the first training, with 95 % intervals from resampling whole days; a
    negative one of a loss is better. Where it cannot be measured, `{"problem": why}`: no golden
    set, another one, a package that is gone or was altered, another kind of label.
    """
    try:
        use_cases = [_use_case(client, training) for training in trainings]
        if len({_question(use_case) for use_case in use_cases}) > 1:
            raise DataError(
                "the models do not answer the same question (label, problem, classes, loss), so"
                " their scores cannot be paired"
            )
        frame, table = _golden_rows(client, settings, trainings, use_cases)
        with TemporaryDirectory(prefix="flightdeck-compare-") as folder:
            models = [
                _model(settings, training, Path(folder) / str(number))
                for number, training in enumerate(trainings)
            ]
            scores = [model.score_frame(frame) for model in models]
    except (FlightdeckError, OSError, pl.exceptions.PolarsError) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    labels, days = labels_of(use_cases[0], frame), day_clusters(use_cases[0], frame)
    paired = Paired(use_cases[0], labels, days, scores[0])
    measured = [
        paired.measured(training.name, model_scores)
        for training, model_scores in zip(trainings, scores, strict=True)
    ]
    return {"rows": frame.height, "days": len(np.unique(days)), "table": table, "models": measured}


def _use_case(client: MlflowClient, training: Training) -> UseCase:
    """The specification as it was declared when the training ran."""
    text = read_text(client, training.mlflow_run_id, RECORD_FILE)
    if text is None:
        raise RegistryError(
            f"{training.name} left no {RECORD_FILE}: it ended before a model was trained"
        )
    return TrainingRecord.read(text).specification


def _golden_rows(
    client: MlflowClient,
    settings: Settings,
    trainings: Sequence[Training],
    use_cases: Sequence[UseCase],
) -> tuple[pl.DataFrame, str]:
    records = {
        recorded(client, client.get_run(training.mlflow_run_id).info.experiment_id)
        for training in trainings
    }
    record, *others = records
    if record is None or others:
        raise DataError(
            "the trainings have no golden set in common"
            if others
            else "no golden set was ever frozen for them"
        )
    frame = read_golden(use_cases[0], settings, record)
    for use_case in use_cases[1:]:
        frame = with_later_columns(use_case, frame)
    return frame, f"{record.table}@{record.version}"


def _model(settings: Settings, training: Training, folder: Path) -> ScoringModel:
    digest, model_id = (
        training.tags.get("flightdeck.digest"),
        training.tags.get("flightdeck.model_id"),
    )
    if digest is None or model_id is None:
        raise RegistryError(f"{training.name} left no model package")
    package = download_package(
        f"models:/{model_id}", digest, folder, tracking_uri=settings.mlflow_tracking_uri
    )
    return load_model(package, expected_digest=digest, threads=settings.training_threads)


def _question(use_case: UseCase) -> tuple[object, ...]:
    """What models must have in common for their scores to be paired."""
    problem = use_case.problem
    loss = strategy_of(use_case).loss_metric
    return use_case.data_set.label_table, use_case.label, problem.kind, problem.class_names, loss


@dataclass(frozen=True)
class Paired:
    """The golden rows and the first model's scores of them, which the others are held against."""

    use_case: UseCase
    labels: np.ndarray
    days: np.ndarray
    first: np.ndarray

    def measured(self, name: str, scores: np.ndarray) -> dict[str, Any]:
        """A model's metrics on the rows and their differences to the first model's."""
        losses, base = self._losses(scores), self._losses(self.first)
        rate, seed = self.use_case.problem.label_is_rate, self.use_case.training.seed
        result: dict[str, Any] = {"name": name}
        if rate:
            result["auc"] = roc_auc(self.labels, scores)
        result |= {metric: float(values.mean()) for metric, values in losses.items()}
        if scores is self.first:
            return {**result, "differences": None}
        differences = {
            metric: paired_bootstrap(values - base[metric], self.days, seed=seed)
            for metric, values in losses.items()
        }
        if rate:
            differences["auc"] = auc_difference(
                self.labels, scores, self.first, self.days, seed=seed
            )
        return {
            **result,
            "differences": {
                metric: _interval(difference) for metric, difference in differences.items()
            },
        }

    def _losses(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Losses of every row by metric, each of shape (rows,)."""
        if self.use_case.problem.label_is_rate:
            return {
                "brier": (scores - self.labels) ** 2,
                "logloss": log_losses(self.labels, scores),
            }
        strategy = strategy_of(self.use_case)
        return {strategy.loss_metric: strategy.losses(self.labels, scores)}


def _interval(difference: Difference) -> dict[str, float]:
    return {"mean": difference.mean, "low": difference.low, "high": difference.high}
