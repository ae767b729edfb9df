"""One fitted model on every split and every slice, against the constant prediction of the training base rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from include.evaluation.metrics import brier, log_loss, summary
from include.evaluation.slices import slice_parts
from include.registry.artifact import ScoringModel
from include.spec import UseCase


def evaluate(use_case: UseCase, model: ScoringModel, splits: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """`{"digest", "splits": {split: metrics}, "baseline": {split: metrics}, "slices": [...]}`, plain JSON.

    A slice below its minimum of rows is listed with `"status": "too small"` and its row count only.
    """
    result: dict[str, Any] = {"digest": model.digest, "splits": {}, "baseline": {}, "slices": []}
    for split, frame in splits.items():
        labels, scores = labels_of(use_case, frame), model.score_frame(frame)
        result["splits"][split] = summary(labels, scores)
        prior = np.full(len(labels), model.metadata.base_rate)
        result["baseline"][split] = {"brier": brier(labels, prior), "logloss": log_loss(labels, prior)}
        result["slices"].extend(_slices(use_case, model, split, frame, labels, scores))
    return result


def labels_of(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray:
    """The label column, int64 of shape (rows,)."""
    return frame[use_case.label.column].cast(pl.Int64).to_numpy()


def metric_names(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """The evaluation flat, as MLflow keeps it: `test.auc`, `test.baseline.brier`, `test.slice.origin.EWR.auc`."""
    metrics = {f"{split}.{name}": value for split, values in evaluation["splits"].items() for name, value in values.items()}
    for split, values in evaluation["baseline"].items():
        metrics.update({f"{split}.baseline.{name}": value for name, value in values.items()})
    for part in evaluation["slices"]:
        metrics.update({f"{part['split']}.{part['key']}.{name}": value for name, value in part["metrics"].items()})
    return metrics


def _slices(
    use_case: UseCase, model: ScoringModel, split: str, frame: pl.DataFrame, labels: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in slice_parts(use_case, model.transform, frame):
        metrics = summary(labels[part.mask], scores[part.mask]) if part.judged else {"n": float(part.rows)}
        status = "ok" if part.judged else "too small"
        rows.append({"split": split, "column": part.column, "value": part.value, "key": part.key, "status": status, "metrics": metrics})
    return rows
