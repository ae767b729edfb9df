"""A use case that contradicts its problem or its estimator fails at construction, and the text says
what to write instead.
"""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from include.spec import UseCase
from include.spec.overlay import _merged
from include.use_cases.flight_delays.spec import USE_CASE

NO_BINARY = {"min_auc": None, "max_brier": None, "max_calibration_error": None}
REGRESSION = {
    "problem": "regression",
    "label": {"column": "arrival_delay"},
    "gates": {
        **NO_BINARY,
        "fairness": [],
        "max_rmse": 60,
        "max_mae": 40,
        "min_r2": 0.0,
        "max_bias": 10,
        "max_decile_error": 20,
    },
}
MULTICLASS = {
    "problem": "multiclass",
    "label": {
        "column": "arrival_delay",
        "classes": ["early", "on_time", "late"],
        "bounds": [-5, 15],
        "positive": "late",
    },
    "gates": {"max_logloss": 1.2, "min_accuracy": 0.3},
    "baseline_input": None,
}
LINEAR = {
    "training": {
        "estimator": {"kind": "sklearn", "path": "sklearn.linear_model.Ridge", "device": None}
    }
}


def changed(*changes):
    """The flight use case with nested changes; null removes."""
    values = USE_CASE.model_dump()
    for change in changes:
        values = _merged(values, change)
    return UseCase.model_validate(values)


def test_every_problem_can_be_declared():
    assert changed(REGRESSION).problem == "regression"
    assert changed(MULTICLASS).label.classes == ("early", "on_time", "late")
    assert changed(REGRESSION, LINEAR).training.estimator.label == "sklearn.linear_model.Ridge"
    assert USE_CASE.problem == "binary"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            ({"label": {"classes": ["a", "b", "c"]}},),
            "label.classes belongs to problem='multiclass'",
        ),
        (
            (MULTICLASS, {"label": {"classes": ["a", "b"], "bounds": [], "positive": None}}),
            "problem='binary'",
        ),
        ((MULTICLASS, {"label": {"classes": ["a", "a", "late"]}}), "names a class twice"),
        ((MULTICLASS, {"label": {"bounds": [15, -5]}}), "2 rising numbers for 3 classes"),
        ((MULTICLASS, {"label": {"positive": "missed"}}), "not among label.classes"),
        (
            (MULTICLASS, {"label": {"positive": None}, "gates": {"directions": []}}),
            "needs label.positive",
        ),
        ((MULTICLASS, {"label": {"positive": None}}), "about the probability of label.positive"),
        ((MULTICLASS, {"baseline_input": "carrier_late_rate_7d"}), "one a class"),
        ((REGRESSION, {"training": {"class_weights": [1, 2]}}), "'regression' has none"),
        ((MULTICLASS, {"training": {"class_weights": [1, 2]}}), "2 weights for 3 classes"),
        ((REGRESSION, {"gates": {"max_rmse": None}}), r"gates lack \['max_rmse'\]"),
        ((REGRESSION, {"gates": {"min_auc": 0.6}}), "gates.min_auc is a threshold of"),
        (
            (REGRESSION, {"gates": {"fairness": [{"column": "origin"}]}}),
            "needs max_error_difference",
        ),
        (
            ({"gates": {"fairness": [{"column": "origin", "max_error_difference": 5}]}},),
            "belongs to problem='regression'",
        ),
        (
            ({"training": {"parameters": {"objective": "reg:squarederror"}}},),
            "which Flightdeck derives",
        ),
        (
            (
                {
                    "training": {
                        "estimator": {"kind": "sklearn", "path": "os.system", "device": None}
                    }
                },
            ),
            "no class of scikit-learn",
        ),
        (({"training": {"estimator": {"kind": "sklearn", "device": None}}},), "either path"),
        (
            (
                {
                    "training": {
                        "estimator": {"kind": "sklearn", "factory": "os.system", "device": None}
                    }
                },
            ),
            "without a module",
        ),
        ((LINEAR, {"training": {"estimator": {"trusted_types": ["os.system"]}}}), "can be trusted"),
        (
            (
                {
                    "training": {
                        "estimator": {"kind": "sklearn", "path": "sklearn.linear_model.Ridge"}
                    }
                },
            ),
            "device",
        ),
    ],
)
def test_a_contradiction_is_refused_with_what_to_write_instead(changes, text):
    with pytest.raises(ValidationError, match=text):
        changed(*changes)


@pytest.mark.parametrize(
    ("change", "text"),
    [(LINEAR, "only XGBoost takes monotone inputs"), (MULTICLASS, "probabilities sum to 1")],
)
def test_monotone_inputs_need_an_estimator_and_a_problem_that_have_them(change, text):
    inputs = [
        {**item.model_dump(), "monotone": int(item.name == "precipitation")}
        for item in USE_CASE.inputs
    ]
    with pytest.raises(ValidationError, match=text):
        changed(change, {"inputs": inputs})
