"""One interface to fit the declared estimator, whichever it is, on one pair of train and validation
rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from include.features.transform import FeatureTransform
from include.problems.registry import strategy_of
from include.spec import ScikitLearn, UseCase
from include.training.estimator import Device
from include.training.fitting import LOSS_NAMES, Fit, fit_booster, to_dmatrix
from include.training.sklearn_fitting import fit_sklearn


@dataclass(frozen=True)
class Rows:
    """What a fit sees: the transformed matrix, float32 of shape (rows, inputs), and labels as
    `labels_of` gives them.
    """

    matrix: np.ndarray
    labels: np.ndarray


class Trainer(Protocol):
    """Fits the same rows with other parameters."""

    def fit(self, parameters: Mapping[str, Any], *, callbacks: Sequence[Any] = ()) -> Fit:
        """`callbacks` watch the rounds of XGBoost; an estimator without rounds calls none."""


class BoosterTrainer:
    """XGBoost on matrices that are quantised once."""

    def __init__(
        self,
        use_case: UseCase,
        transform: FeatureTransform,
        train: Rows,
        validation: Rows,
        *,
        threads: int,
        device: Device,
        max_bin: int,
    ) -> None:
        # In a binary problem the weights are XGBoost's own parameter (`declared_parameters`).
        weights = strategy_of(use_case).row_weights(train.labels)
        self._use_case, self._threads, self._device = use_case, threads, device
        self._train = to_dmatrix(
            transform, train.matrix, train.labels, threads=threads, max_bin=max_bin, weights=weights
        )
        self._validation = to_dmatrix(
            transform,
            validation.matrix,
            validation.labels,
            threads=threads,
            max_bin=max_bin,
            like=self._train,
        )

    def fit(self, parameters: Mapping[str, Any], *, callbacks: Sequence[Any] = ()) -> Fit:
        """Early stopping on the validation loss."""
        return fit_booster(
            self._use_case,
            parameters,
            self._train,
            self._validation,
            threads=self._threads,
            device=self._device,
            callbacks=callbacks,
        )


class SklearnTrainer:
    """scikit-learn; the validation rows are only measured on."""

    def __init__(
        self, use_case: UseCase, transform: FeatureTransform, train: Rows, validation: Rows
    ) -> None:
        self._use_case, self._transform = use_case, transform
        self._train, self._validation = train, validation

    def fit(self, parameters: Mapping[str, Any], *, callbacks: Sequence[Any] = ()) -> Fit:  # noqa: ARG002  # there are no rounds
        """One fit of all training rows."""
        use_case, train, validation = self._use_case, self._train, self._validation
        fitted = fit_sklearn(use_case, self._transform, parameters, train.matrix, train.labels)
        name = strategy_of(use_case).validation_loss
        summary = strategy_of(use_case).summary(
            validation.labels, fitted.predict(validation.matrix)
        )
        loss = summary[LOSS_NAMES[name]]
        return Fit(fitted, 0, loss, {"validation": [loss]}, name)


def open_trainer(
    use_case: UseCase,
    transform: FeatureTransform,
    train: Rows,
    validation: Rows,
    *,
    threads: int,
    device: Device,
    max_bin: int,
) -> Trainer:
    """The trainer of the use case's estimator."""
    if isinstance(use_case.training.estimator, ScikitLearn):
        return SklearnTrainer(use_case, transform, train, validation)
    return BoosterTrainer(
        use_case, transform, train, validation, threads=threads, device=device, max_bin=max_bin
    )
