"""What a candidate has to beat to be worth its trouble: the last known value of one input, and a
simpler model.

The prior (the training split's base rate, for every row) is in `evaluate` already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from include.features.preparation import preparation
from include.features.transform import FeatureTransform
from include.model.fitted import FittedSklearn
from include.problems.base import Prior, ProblemStrategy, only
from include.problems.registry import strategy_of
from include.spec import UseCase

LAST_VALUE = "last_value"
SIMPLE = "simple"
JUDGED = ("test", "golden")
FIT_ROWS = 20_000
ITERATIONS = 200


def simple_model(
    transform: FeatureTransform,
    train: np.ndarray,
    labels: np.ndarray,
    others: Mapping[str, np.ndarray],
    problem: ProblemStrategy[Any],
    *,
    seed: int,
) -> dict[str, np.ndarray]:
    """Scores of a logistic (of a regression: ridge) regression for each matrix of `others`, after
    `include.features.preparation`.

    Matrices are float32 of shape (rows, inputs), as the transform gives them. Fitted on the newest
    `FIT_ROWS` rows of `train`.
    """
    from sklearn.pipeline import make_pipeline

    simple = problem.simple_estimator(seed=seed, iterations=ITERATIONS)
    model = make_pipeline(preparation(transform), simple)
    model.fit(train[-FIT_ROWS:], labels[-FIT_ROWS:])
    fitted = FittedSklearn(model, problem.answers)
    return {name: fitted.predict(matrix) for name, matrix in others.items()}


def baseline_metrics(
    use_case: UseCase,
    transform: FeatureTransform,
    matrices: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    prior: Prior,
) -> dict[str, dict[str, dict[str, float]]]:
    """`{baseline:

    {split: metrics}}` on `JUDGED` splits. What cannot be had is left out: the gate refuses it by
    name.
    """
    problem = strategy_of(use_case)
    splits = {name: matrices[name] for name in JUDGED if name in matrices}
    scores_of: dict[str, dict[str, np.ndarray]] = {}
    newest = labels.get("train")
    last = {
        name: problem.last_value(transform, matrix, prior, newest)
        for name, matrix in splits.items()
    }
    scores_of[LAST_VALUE] = {name: scores for name, scores in last.items() if scores is not None}
    if "train" in matrices:
        scores_of[SIMPLE] = simple_model(
            transform,
            matrices["train"],
            labels["train"],
            splits,
            problem,
            seed=use_case.training.seed,
        )
    return {
        baseline: {
            split: only(problem.summary(labels[split], scores), problem.baseline_metrics)
            for split, scores in parts.items()
        }
        for baseline, parts in scores_of.items()
        if parts
    }
