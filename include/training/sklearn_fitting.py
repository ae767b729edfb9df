"""scikit-learn: the declared estimator made, seeded and fitted, ready for a package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from include.catalogue import find_module
from include.errors import SpecError
from include.features.preparation import preparation
from include.features.transform import FeatureTransform
from include.model.fitted import FittedSklearn
from include.problems.registry import strategy_of
from include.spec import ScikitLearn, UseCase
from include.spec.base import suggestion

MODEL_STEP = "model"


def build_estimator(
    use_case: UseCase, transform: FeatureTransform, parameters: Mapping[str, Any]
) -> Any:
    """The unfitted estimator with parameters and seed; with `prepare` behind
    `include.features.preparation`.

    Raises `SpecError` where the path, the factory or a parameter does not exist, or the estimator
    is of another kind than the problem.
    """
    from sklearn.pipeline import Pipeline

    declared = use_case.training.estimator
    if not isinstance(declared, ScikitLearn):
        raise SpecError(
            f"{use_case.name}: training.estimator is {declared.label}, no estimator of"
            " scikit-learn."
        )
    estimator = (
        _from_factory(use_case, declared, transform)
        if declared.factory
        else _from_path(use_case, declared)
    )
    unknown = sorted(set(parameters) - set(estimator.get_params()))
    if unknown:
        valid = sorted(estimator.get_params())
        raise SpecError(
            f"{use_case.name}: {declared.label} has no parameters {unknown}, which"
            f" training.parameters or search_space set{suggestion(unknown[0], valid)}"
        )
    estimator.set_params(**parameters)
    _check_kind(use_case, declared, estimator)
    estimator_parameters, seed = estimator.get_params(), use_case.training.seed
    estimator.set_params(
        **{
            name: seed
            for name in estimator_parameters
            if estimator_parameters[name] is None and _last(name) == "random_state"
        }
    )
    return (
        Pipeline([("prepare", preparation(transform)), (MODEL_STEP, estimator)])
        if declared.prepare
        else estimator
    )


def fit_sklearn(
    use_case: UseCase,
    transform: FeatureTransform,
    parameters: Mapping[str, Any],
    matrix: np.ndarray,
    labels: np.ndarray,
) -> FittedSklearn:
    """Fit on the transformed matrix, float32 of shape (rows, inputs); class weights become sample
    weights.

    Raises `SpecError` where the estimator does not take missing values, or weights that are
    declared.
    """
    estimator = build_estimator(use_case, transform, parameters)
    declared = use_case.training.estimator
    weights = sample_weights(use_case, labels)
    try:
        estimator.fit(
            matrix,
            labels,
            **({} if weights is None else {_weight_name(use_case, estimator): weights}),
        )
    except ValueError as error:
        if "NaN" not in str(error):
            raise
        raise SpecError(
            f"{use_case.name}: {declared.label} takes no missing values; set"
            " training.estimator.prepare, or impute in the factory's pipeline."
        ) from error
    # How many processes fitted it (a declared n_jobs) is no part of the model: it scores with one.
    estimator_parameters = estimator.get_params()
    estimator.set_params(
        **{
            name: None
            for name in estimator_parameters
            if estimator_parameters[name] is not None and _last(name) == "n_jobs"
        }
    )
    return FittedSklearn(estimator, strategy_of(use_case).answers)


def sample_weights(use_case: UseCase, labels: np.ndarray) -> np.ndarray | None:
    """The declared weight of every row's class, shape (rows,); `None` where none are declared."""
    weights = use_case.training.class_weights
    return None if weights is None else np.asarray(weights, dtype=np.float64)[labels]


def _last(name: str) -> str:
    return name.rsplit("__", 1)[-1]


def _from_path(use_case: UseCase, declared: ScikitLearn) -> Any:
    from sklearn.base import BaseEstimator

    module_name, _, name = str(declared.path).rpartition(".")
    try:
        kind = getattr(import_module(module_name), name, None)
    except ModuleNotFoundError as error:
        raise SpecError(
            f"{use_case.name}: training.estimator.path {declared.path!r}: {error}."
        ) from error
    if not isinstance(kind, type) or not issubclass(kind, BaseEstimator):
        raise SpecError(
            f"{use_case.name}: training.estimator.path {declared.path!r} is no estimator"
            f"{suggestion(name, _estimators(module_name))}"
        )
    try:
        return kind()
    except TypeError as error:
        raise SpecError(
            f"{use_case.name}: {declared.path} cannot be made without arguments ({error}); write a"
            " factory in model.py."
        ) from error


def _estimators(module_name: str) -> list[str]:
    """The classes of a module that can be fitted."""
    from sklearn.base import BaseEstimator

    members = vars(import_module(module_name)).items()
    return [
        name
        for name, value in members
        if isinstance(value, type) and issubclass(value, BaseEstimator) and name[:1] != "_"
    ]


def _from_factory(use_case: UseCase, declared: ScikitLearn, transform: FeatureTransform) -> Any:
    file = f"include/use_cases/{use_case.name}/model.py"
    module = find_module(use_case.name, "model")
    if module is None:
        raise SpecError(f"{use_case.name}: training.estimator.factory needs {file}.")
    factory = getattr(module, str(declared.factory), None)
    if not callable(factory):
        raise SpecError(
            f"{file} has no function {declared.factory!r}; training.estimator.factory names one."
        )
    return factory(use_case, transform)


def _check_kind(use_case: UseCase, declared: ScikitLearn, estimator: Any) -> None:
    from sklearn.base import is_classifier, is_regressor

    problem = strategy_of(use_case)
    matches = {"regressor": is_regressor, "classifier": is_classifier}[problem.estimator_kind]
    if not matches(estimator):
        raise SpecError(
            f"{use_case.name}: problem is {use_case.problem.kind!r}, but {declared.label} is no"
            f" {problem.estimator_kind} of scikit-learn."
        )
    if not hasattr(estimator, problem.scoring_method):
        raise SpecError(
            f"{use_case.name}: {declared.label} gives no probabilities (predict_proba), which"
            " metrics and gates need; use another estimator or another loss, or wrap it in"
            " sklearn.calibration.CalibratedClassifierCV in a factory."
        )


def _weight_name(use_case: UseCase, estimator: Any) -> str:
    """How `fit` is handed the weights of rows; a pipeline's last step gets them."""
    from sklearn.utils.validation import has_fit_parameter

    path, step = [], estimator
    while hasattr(step, "steps"):
        name, step = step.steps[-1]
        path.append(name)
    if not has_fit_parameter(step, "sample_weight"):
        raise SpecError(
            f"{use_case.name}: training.class_weights are declared, but {type(step).__name__} takes"
            " no sample_weight; leave them out."
        )
    return "__".join([*path, "sample_weight"])
