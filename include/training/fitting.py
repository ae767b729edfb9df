"""XGBoost: matrices and one fit with early stopping. A process that has fitted must not fork (OpenMP hangs the child)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.transform import FeatureTransform
from include.spec import UseCase
from include.training.estimator import Device, declared_parameters, device_parameters

if TYPE_CHECKING:
    import xgboost

OBJECTIVE = {"objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist"}


@dataclass(frozen=True)
class Fit:
    """A booster that holds exactly the trees up to its best round, and the validation log loss at that round (nats)."""

    booster: xgboost.Booster
    best_iteration: int
    validation_logloss: float
    history: dict[str, list[float]]


def to_dmatrix(
    transform: FeatureTransform, matrix: np.ndarray, labels: np.ndarray, *, threads: int, max_bin: int, like: xgboost.DMatrix | None = None
) -> xgboost.DMatrix:
    """A quantised matrix from float32 of shape (rows, inputs), NaN = missing; `like` shares the training matrix's bins."""
    import xgboost

    return xgboost.QuantileDMatrix(
        matrix,
        label=labels,
        feature_names=transform.feature_names,
        feature_types=transform.feature_types,
        enable_categorical=True,
        nthread=threads,
        max_bin=max_bin,
        ref=like,
    )


def fit_booster(
    use_case: UseCase,
    parameters: Mapping[str, Any],
    train: xgboost.DMatrix,
    validation: xgboost.DMatrix,
    *,
    threads: int,
    device: Device = "cpu",
    callbacks: Sequence[Any] = (),
) -> Fit:
    """Fit with early stopping on the validation log loss; the same inputs, threads and device give the same bytes.

    What the use case declares (monotone inputs, class weights) goes over `parameters`. The booster predicts on the CPU.
    """
    import xgboost

    training = use_case.training
    history: dict[str, dict[str, list[float]]] = {}
    declared = {**declared_parameters(use_case), **device_parameters(device)}
    booster = xgboost.train(
        {**OBJECTIVE, **parameters, **declared, "seed": training.seed, "nthread": threads},
        train,
        num_boost_round=training.boost_rounds,
        evals=[(train, "train"), (validation, "validation")],
        early_stopping_rounds=training.early_stopping_rounds,
        evals_result=history,
        verbose_eval=False,
        callbacks=list(callbacks),
    )
    if device != "cpu":
        booster.set_param({"device": "cpu"})
    best = int(booster.best_iteration)
    losses = {name: [float(value) for value in values["logloss"]] for name, values in history.items()}
    return Fit(booster[: best + 1], best, losses["validation"][best], losses)
