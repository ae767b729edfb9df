"""One fitted model on every split and every slice, how sure its metrics are, what simpler
predictions reach, and which inputs matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from include.data_sets.blocks import blocks_or_rows
from include.evaluation.attributed_rows import attributed_rows
from include.evaluation.attributions import attribution_summary, method
from include.evaluation.baselines import JUDGED, baseline_metrics
from include.evaluation.slices import SlicePart, slice_parts
from include.model.package import ScoringModel
from include.problems.base import ProblemStrategy
from include.problems.registry import strategy_of
from include.registry.metric_names import mlflow_name, slice_name
from include.spec import UseCase

TEST = "test"


def evaluate(
    use_case: UseCase, model: ScoringModel, splits: Mapping[str, pl.DataFrame]
) -> dict[str, Any]:
    """Plain JSON:

    `digest` of the package; `splits`: {split: metrics}, of the test split also how sure they are
    where rows share a cause; `baseline`: {split: metrics} of the prior
    (the training split's base rate, class shares or mean label) for every row; `baselines`:
    {baseline: {split: metrics}} (see `baselines`); `slices`: one record per split and slice
    (`"status": "too small"` with the row count only, below its minimum of rows); `intervals`: 95 %
    intervals of the test and the golden set and of the test set's slices; `attributions`:
    contribution of every input on the test set, `attribution_rows`: those of a few of its rows, and
    `attribution_method`. Which metrics there are is the problem's matter
    (`include.problems.registry`).
    """
    problem = strategy_of(use_case)
    matrices = {split: model.transform.apply_frame(frame) for split, frame in splits.items()}
    labels = {split: labels_of(use_case, frame) for split, frame in splits.items()}
    result: dict[str, Any] = {
        "digest": model.digest,
        "splits": {},
        "baseline": {},
        "slices": [],
        "intervals": [],
    }
    scores_of = {split: model.score_matrix(matrix) for split, matrix in matrices.items()}
    for split, frame in splits.items():
        scores = scores_of[split]
        result["splits"][split] = _metrics(problem, split, frame, labels[split], scores)
        prior = problem.prior_scores(model.metadata, frame.height)
        required = {problem.loss_metric, problem.skill_metric}
        result["baseline"][split] = {
            name: value
            for name, value in problem.summary(labels[split], prior).items()
            if name in required
        }
        parts = slice_parts(use_case, model.transform, frame)
        result["slices"].extend(_slices(problem, parts, split, labels[split], scores))
        if split in JUDGED:
            result["intervals"].extend(
                _intervals(
                    problem, split, frame, parts if split == TEST else [], labels[split], scores
                )
            )
    result["baselines"] = baseline_metrics(
        use_case,
        model.transform,
        matrices,
        labels,
        model.metadata,
        scores=scores_of,
        days={split: day_clusters(use_case, frame) for split, frame in splits.items()},
    )
    if TEST in matrices:
        result["attribution_method"] = method(model)
        result["attributions"] = attribution_summary(model, matrices[TEST])
        result["attribution_rows"] = attributed_rows(
            problem, model, splits[TEST], matrices[TEST], scores_of[TEST], labels[TEST]
        )
    return result


def labels_of(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray:
    """The label column as metrics take it, shape (rows,): int64 0 and 1 or class numbers, float64
    for a regression.
    """
    return strategy_of(use_case).labels(frame)


def metric_names(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """The evaluation flat, under the names that MLflow keeps (`include.registry.metric_names`).

    `test.auc`, `test.auc.low` and `.high` (its interval), `test.baseline.brier` (the prior),
    `test.baseline.last_value.logloss`, `test.slice.origin.EWR.auc`, `test.class.late.recall`.
    """
    metrics: dict[str, float] = {}

    def add(values: Mapping[str, float], *where: str) -> None:
        metrics.update({mlflow_name(*where, name): value for name, value in values.items()})

    for split, values in evaluation["splits"].items():
        add(values, split)
    for split, values in evaluation["baseline"].items():
        add(values, split, "baseline")
    for baseline, parts in evaluation["baselines"].items():
        for split, values in parts.items():
            add(values, split, "baseline", baseline)
    for interval in evaluation["intervals"]:
        bounds = {bound: interval[bound] for bound in ("low", "high")}
        add(bounds, interval["split"], interval["key"], interval["metric"])
    for part in evaluation["slices"]:
        add(part["metrics"], part["split"], part["key"])
    return metrics


def _metrics(
    problem: ProblemStrategy[Any],
    split: str,
    frame: pl.DataFrame,
    labels: np.ndarray,
    scores: np.ndarray,
) -> dict[str, float]:
    """Those of a split; of the test split also how sure they are, as the package records it."""
    metrics = problem.summary(labels, scores)
    if split != TEST:
        return metrics
    blocks = blocks_or_rows(problem.use_case, frame)
    return {**metrics, **problem.block_errors(labels, scores, blocks)}


def _slices(
    problem: ProblemStrategy[Any],
    parts: Sequence[SlicePart],
    split: str,
    labels: np.ndarray,
    scores: np.ndarray,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in parts:
        metrics = (
            problem.summary(labels[part.mask], scores[part.mask])
            if part.judged
            else {"n": float(part.rows)}
        )
        status = "ok" if part.judged else "too small"
        rows.append(
            {
                "split": split,
                "column": part.column,
                "value": part.value,
                "key": slice_name(part.identity),
                "status": status,
                "metrics": metrics,
            }
        )
    return rows


def day_clusters(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray:
    """The calendar day (UTC) of every row, int64 of shape (rows,): rows of one day are not
    independent.
    """
    return frame[use_case.event_time].dt.truncate("1d").dt.epoch("s").to_numpy().astype(np.int64)


def _intervals(
    problem: ProblemStrategy[Any],
    split: str,
    frame: pl.DataFrame,
    parts: Sequence[SlicePart],
    labels: np.ndarray,
    scores: np.ndarray,
) -> list[dict[str, Any]]:
    use_case = problem.use_case
    days, everything = day_clusters(use_case, frame), np.ones(len(labels), dtype=bool)
    masks = [
        ("", everything),
        *((slice_name(part.identity), part.mask) for part in parts if part.judged),
    ]
    return [
        {
            "split": split,
            "key": key,
            "metric": metric,
            "low": interval.low,
            "high": interval.high,
            "clusters": interval.clusters,
        }
        for key, mask in masks
        for metric, interval in problem.intervals(
            labels[mask], scores[mask], days[mask], seed=use_case.training.seed
        ).items()
    ]
