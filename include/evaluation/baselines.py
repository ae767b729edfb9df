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
from include.stats.bootstrap import MIN_CLUSTERS
from include.stats.paired import paired_bootstrap

LAST_VALUE = "last_value"
SIMPLE = "simple"
DEFICIT = "deficit"
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
    *,
    scores: Mapping[str, np.ndarray],
    days: Mapping[str, np.ndarray],
) -> dict[str, dict[str, dict[str, float]]]:
    """`{baseline:

    {split: metrics}}` on `JUDGED` splits. What cannot be had is left out: the gate refuses it by
    name.

    Of the simple model also `deficit`, how much the loss of the candidate's `scores` is above its
    own, with `deficit.low` and `deficit.high`, its 95 % interval from resampling whole `days`
    (none from a single day). In nats, of a regression as share of the best constant's loss.
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
    metrics = {
        baseline: {
            split: only(problem.summary(labels[split], answers), problem.baseline_metrics)
            for split, answers in parts.items()
        }
        for baseline, parts in scores_of.items()
        if parts
    }
    for split, simple in scores_of.get(SIMPLE, {}).items():
        metrics[SIMPLE][split] |= _deficit(
            problem, labels[split], scores[split], simple, days[split]
        )
    return metrics


def _deficit(
    problem: ProblemStrategy[Any],
    labels: np.ndarray,
    scores: np.ndarray,
    simple: np.ndarray,
    days: np.ndarray,
) -> dict[str, float]:
    lost = problem.losses(labels, scores) - problem.losses(labels, simple)
    lost = lost / problem.loss_unit(labels)
    if len(np.unique(days)) < MIN_CLUSTERS:
        return {DEFICIT: float(lost.mean())}
    difference = paired_bootstrap(lost, days, seed=problem.use_case.training.seed)
    return {
        DEFICIT: difference.mean,
        f"{DEFICIT}.low": difference.low,
        f"{DEFICIT}.high": difference.high,
    }
