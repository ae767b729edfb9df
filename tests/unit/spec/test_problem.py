"""A use case that contradicts its problem or its estimator fails at construction, and the text says
what to write instead.
"""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from include.spec import UseCase
from include.spec.overlay import _merged
from include.use_cases.flight_delays.spec import USE_CASE

REGRESSION = {
    "problem": {
        "kind": "regression",
        "max_rmse": 60,
        "max_mae": 40,
        "min_r2": 0.0,
        "max_bias": 10,
        "max_decile_error": 20,
    },
    "label": {"column": "arrival_delay"},
    "gates": {"fairness": []},
}
MULTICLASS = {
    "problem": {
        "kind": "multiclass",
        "classes": ["early", "on_time", "late"],
        "bounds": [-5, 15],
        "positive": "late",
        "min_auc": 0.5,
        "max_brier": 0.7,
        "max_calibration_error": 0.2,
        "max_logloss": 1.2,
        "min_accuracy": 0.3,
    },
    "label": {"column": "arrival_delay"},
    "baseline_input": None,
}
LINEAR = {"training": {"estimator": {"kind": "sklearn", "path": "sklearn.linear_model.Ridge"}}}


def changed(*changes):
    """The flight use case with nested changes; null removes."""
    values = USE_CASE.model_dump()
    for change in changes:
        values = _merged(values, change)
    return UseCase.model_validate(values)


def test_every_problem_can_be_declared():
    assert changed(REGRESSION).problem.kind == "regression"
    assert changed(MULTICLASS).problem.class_names == ("early", "on_time", "late")
    assert changed(REGRESSION, LINEAR).training.estimator.label == "sklearn.linear_model.Ridge"
    assert USE_CASE.problem.kind == "binary"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            ({"problem": {"classes": ["a", "b", "c"]}},),
            "Binary has no field 'classes'",
        ),
        (
            (MULTICLASS, {"problem": {"classes": ["a", "b"], "bounds": [], "positive": None}}),
            r"problem=Binary\(",
        ),
        ((MULTICLASS, {"problem": {"classes": ["a", "a", "late"]}}), "names a class twice"),
        ((MULTICLASS, {"problem": {"bounds": [15, -5]}}), "2 rising numbers for 3 classes"),
        ((MULTICLASS, {"problem": {"positive": "lat"}}), "is 'lat'; did you mean 'late'?"),
        (
            (MULTICLASS, {"problem": {"positive": None}, "gates": {"directions": []}}),
            "problem.positive is missing, which gates.fairness",
        ),
        (
            (MULTICLASS, {"problem": {"positive": None}}),
            "which gates.directions and gates.fairness",
        ),
        ((MULTICLASS, {"baseline_input": "carrier_late_rate_7d"}), "one a class"),
        (
            (REGRESSION, {"training": {"class_weights": [1, 2]}}),
            r"problem=Regression\(...\) has none",
        ),
        ((MULTICLASS, {"training": {"class_weights": [1, 2]}}), "2 weights for 3 classes"),
        (
            (REGRESSION, {"problem": {"max_rmse": None}}),
            r"problem.regression.max_rmse\n +Field required",
        ),
        ((REGRESSION, {"problem": {"min_auc": 0.6}}), "Regression has no field 'min_auc'"),
        (({"gates": {"min_slice_brier_skil": 0.1}},), "did you mean 'min_slice_brier_skill'"),
        (
            (REGRESSION, {"gates": {"fairness": [{"column": "origin"}]}}),
            "needs max_error_difference",
        ),
        (
            ({"gates": {"fairness": [{"column": "origin", "max_error_difference": 5}]}},),
            r"belongs to problem=Regression\(",
        ),
        (
            ({"training": {"parameters": {"objective": "reg:squarederror"}}},),
            "which Flightdeck derives",
        ),
        (
            ({"training": {"estimator": {"kind": "sklearn", "path": "os.system"}}},),
            "no class of scikit-learn",
        ),
        (({"training": {"estimator": {"kind": "sklearn"}}},), "either path"),
        (
            ({"training": {"estimator": {"kind": "sklearn", "factory": "os.system"}}},),
            "without a module",
        ),
        ((LINEAR, {"training": {"estimator": {"trusted_types": ["os.system"]}}}), "can be trusted"),
        (
            (
                {
                    "training": {
                        "estimator": {
                            "kind": "sklearn",
                            "path": "sklearn.linear_model.Ridge",
                            "device": "cpu",
                        }
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


FAR = {
    "gates": {
        "max_missing_change": 4.8,
        "max_perturbation_p99": 1.5,
        "max_perturbation_mean": 1.2,
        "invariances": [{"inputs": ["humidity"], "max_change": 1.1}],
        "directions": [
            {"input": "humidity", "change": 1.0, "expect": "not_lower", "tolerance": 1.3}
        ],
    }
}


def test_a_change_in_standard_deviations_may_be_several_of_them():
    """A regression on prices moved by 4.4 where an input was missing, and no limit could say so."""
    gates = changed(REGRESSION, FAR).gates
    assert (gates.max_missing_change, gates.max_perturbation_p99) == (4.8, 1.5)
    assert gates.invariances[0].max_change == 1.1


@pytest.mark.parametrize("field", FAR["gates"])
def test_a_probability_changes_by_one_at_most(field):
    with pytest.raises(ValidationError, match=r"a change of a probability, and at most 1"):
        changed({"gates": {field: FAR["gates"][field]}})
    with pytest.raises(ValidationError, match=r"of problem=Multiclass.*at most 1"):
        changed(MULTICLASS, {"gates": {field: FAR["gates"][field]}})
