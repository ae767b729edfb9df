"""What a use case predicts, and what its other declarations must be for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from include.spec.estimators import ScikitLearn

if TYPE_CHECKING:
    from include.spec.use_case import UseCase

Problem = Literal["binary", "multiclass", "regression"]

THRESHOLDS: dict[Problem, tuple[str, ...]] = {
    "binary": ("min_auc", "max_brier", "max_calibration_error"),
    "multiclass": ("max_logloss", "min_auc", "max_brier", "max_calibration_error", "min_accuracy"),
    "regression": ("max_rmse", "max_mae", "min_r2", "max_bias", "max_decile_error"),
}
"""The absolute thresholds of `Gates` that each problem needs."""

MINIMUM_CLASSES = 3
DERIVED = (
    "objective",
    "eval_metric",
    "num_class",
    "seed",
    "random_state",
    "nthread",
    "device",
    "monotone_constraints",
)
"""Parameters of XGBoost that follow from other declarations."""


def check_problem(use_case: UseCase) -> None:
    """Raise `ValueError` with the field and what to write instead where the problem and another
    declaration contradict each other.
    """
    _check_classes(use_case)
    _check_thresholds(use_case)
    _check_estimator(use_case)
    _check_weights(use_case)
    _check_fairness(use_case)


def _check_classes(use_case: UseCase) -> None:
    label, problem = use_case.label, use_case.problem
    if problem != "multiclass":
        for field in ("classes", "bounds", "positive"):
            if getattr(label, field) not in ((), None):
                raise ValueError(
                    f"label.{field} belongs to problem='multiclass', but problem is {problem!r};"
                    " leave it out"
                )
        return
    _check_names(use_case)
    _check_uses(use_case)


def _check_names(use_case: UseCase) -> None:
    label = use_case.label
    if len(label.classes) < MINIMUM_CLASSES:
        raise ValueError(
            f"problem='multiclass' needs label.classes with at least {MINIMUM_CLASSES} names, got"
            f" {label.classes}; of two classes make a label of 0 and 1 and problem='binary'"
        )
    if len(set(label.classes)) < len(label.classes):
        raise ValueError(f"label.classes {label.classes} names a class twice")
    if label.bounds and (
        len(label.bounds) != len(label.classes) - 1
        or list(label.bounds) != sorted(set(label.bounds))
    ):
        raise ValueError(
            f"label.bounds {label.bounds} must be {len(label.classes) - 1} rising numbers for"
            f" {len(label.classes)} classes: the last value of each class but the last"
        )


def _check_uses(use_case: UseCase) -> None:
    label = use_case.label
    if use_case.baseline_input is not None:
        raise ValueError(
            f"baseline_input {use_case.baseline_input!r} is one number, and problem='multiclass'"
            " needs one a class; leave it out: the last value is then the class shares of the"
            " newest training rows"
        )
    if use_case.gates.directions and label.positive is None:
        raise ValueError(
            "gates.directions of a multiclass problem are about the probability of label.positive;"
            " declare it"
        )
    if label.positive is not None and label.positive not in label.classes:
        raise ValueError(
            f"label.positive {label.positive!r} is not among label.classes {label.classes}"
        )


def _check_thresholds(use_case: UseCase) -> None:
    gates, wanted = use_case.gates, THRESHOLDS[use_case.problem]
    missing = [name for name in wanted if getattr(gates, name) is None]
    if missing:
        raise ValueError(
            f"gates lack {missing}, which problem={use_case.problem!r} needs ({list(wanted)})"
        )
    for name in sorted({name for names in THRESHOLDS.values() for name in names} - set(wanted)):
        if getattr(gates, name) is not None:
            owners = [problem for problem, names in THRESHOLDS.items() if name in names]
            raise ValueError(
                f"gates.{name} is a threshold of {owners}, but problem is {use_case.problem!r}; use"
                f" {list(wanted)}"
            )


def _check_estimator(use_case: UseCase) -> None:
    training = use_case.training
    monotone = [item.name for item in use_case.inputs if item.monotone]
    if isinstance(training.estimator, ScikitLearn):
        if monotone:
            raise ValueError(
                f"inputs {monotone} are monotone, but training.estimator is scikit-learn's"
                f" {training.estimator.label}: only XGBoost takes monotone inputs; use it, or give"
                " gates.directions, which judge what the fitted model does"
            )
        return
    derived = sorted({*training.parameters, *training.search_space} & set(DERIVED))
    if derived:
        raise ValueError(
            f"training.parameters or search_space set {derived}, which Flightdeck derives: from"
            " problem and label.classes, training.seed, inputs' monotone, estimator.device and"
            " FLIGHTDECK_TRAINING_THREADS"
        )
    if monotone and use_case.problem == "multiclass":
        raise ValueError(
            f"inputs {monotone} are monotone, but problem is 'multiclass': probabilities sum to 1,"
            " so not all of them can rise; leave monotone at 0"
        )


def _check_weights(use_case: UseCase) -> None:
    weights = use_case.training.class_weights
    if weights is None:
        return
    if use_case.problem == "regression":
        raise ValueError(
            "training.class_weights weigh classes, and problem='regression' has none; leave it out"
        )
    classes = 2 if use_case.problem == "binary" else len(use_case.label.classes)
    if len(weights) != classes:
        raise ValueError(
            f"training.class_weights has {len(weights)} weights for {classes} classes; give one a"
            " class, in their order"
        )


def _check_fairness(use_case: UseCase) -> None:
    for declared in use_case.gates.fairness:
        limit = declared.max_error_difference
        if use_case.problem == "regression" and limit is None:
            raise ValueError(
                f"gates.fairness of {declared.column!r} needs max_error_difference (in the label's"
                " unit) for a regression"
            )
        if use_case.problem != "regression" and limit is not None:
            raise ValueError(
                f"gates.fairness of {declared.column!r}: max_error_difference belongs to"
                " problem='regression'"
            )
    if (
        use_case.gates.fairness
        and use_case.problem == "multiclass"
        and use_case.label.positive is None
    ):
        raise ValueError(
            "gates.fairness of a multiclass problem needs label.positive: the class whose"
            " prediction is the favour or harm"
        )
