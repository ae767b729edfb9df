"""XGBoost: matrices and one fit with early stopping.

A process that has fitted must not fork (OpenMP hangs the child).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.errors import RegistryError
from include.features.transform import FeatureTransform
from include.model.fitted import Fitted, FittedBooster
from include.problems.registry import strategy_of
from include.spec import UseCase
from include.training.estimator import Device, declared_parameters, device_parameters

if TYPE_CHECKING:
    import xgboost

LOSS_NAMES = {"logloss": "logloss", "rmse": "rmse", "mae": "mae"}
"""How the loss that a fit reports is called, and under which name `summary` has it."""


def objective(use_case: UseCase) -> dict[str, Any]:
    """XGBoost's parameters that follow from the problem."""
    return {**strategy_of(use_case).booster_objective(), "tree_method": "hist"}


@dataclass(frozen=True)
class Fit:
    """A fitted estimator and its loss on the validation split; of XGBoost exactly the trees up to
    its best round.

    `loss` names the loss (`validation_loss` of the problem); log losses are in nats. Without rounds
    `best_iteration` is 0.
    """

    fitted: Fitted
    best_iteration: int
    validation_loss: float
    history: dict[str, list[float]]
    loss: str = "logloss"

    @property
    def booster(self) -> xgboost.Booster:
        """XGBoost's trees. Raises `RegistryError` for another estimator."""
        if not isinstance(self.fitted, FittedBooster):
            raise RegistryError("The fit is no XGBoost booster; use `fitted`.")
        return self.fitted.booster

    @property
    def validation_logloss(self) -> float:
        """The loss of a classification. Raises `RegistryError` for a regression."""
        if self.loss != "logloss":
            raise RegistryError(f"The fit was judged by {self.loss}; use `validation_loss`.")
        return self.validation_loss


def to_dmatrix(
    transform: FeatureTransform,
    matrix: np.ndarray,
    labels: np.ndarray,
    *,
    threads: int,
    max_bin: int,
    like: xgboost.DMatrix | None = None,
    weights: np.ndarray | None = None,
) -> xgboost.DMatrix:
    """A quantised matrix from float32 of shape (rows, inputs), NaN = missing; `like` shares the
    training matrix's bins.

    `weights`, shape (rows,), weigh the rows' gradients.
    """
    import xgboost

    return xgboost.QuantileDMatrix(
        matrix,
        label=labels,
        weight=weights,
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
    """Fit with early stopping on the validation loss; the same inputs, threads and device give the
    same bytes.

    What the use case declares (monotone inputs, class weights) goes over `parameters`. The booster
    predicts on the CPU.
    """
    import xgboost

    training = use_case.training
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        booster_parameters(use_case, parameters, threads=threads, device=device),
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
    return finish_fit(use_case, booster, history)


def booster_parameters(
    use_case: UseCase,
    parameters: Mapping[str, Any],
    *,
    threads: int | None,
    device: Device = "cpu",
) -> dict[str, Any]:
    """All parameters of one fit: what the use case declares goes over `parameters`. Without
    `threads` XGBoost's process decides on them.
    """
    declared = {**declared_parameters(use_case), **device_parameters(device)}
    return {
        **objective(use_case),
        **parameters,
        **declared,
        "seed": use_case.training.seed,
        **({} if threads is None else {"nthread": threads}),
    }


def finish_fit(
    use_case: UseCase, booster: xgboost.Booster, history: Mapping[str, Mapping[str, list[float]]]
) -> Fit:
    """The trees up to the best round, with the losses that `history` has of both splits."""
    best = int(booster.best_iteration)
    metric = objective(use_case)["eval_metric"]
    losses = {name: [float(value) for value in values[metric]] for name, values in history.items()}
    return Fit(
        FittedBooster(booster[: best + 1]),
        best,
        losses["validation"][best],
        losses,
        strategy_of(use_case).validation_loss,
    )
