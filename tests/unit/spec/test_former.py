"""A specification that an earlier version wrote into a training record still reads, and says the
same.
"""

from __future__ import annotations

import json

import pytest

from include.spec import UseCase
from include.spec.former import OF_DATA_SET
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.model.synthetic import USE_CASE as PARCELS
from tests.unit.problems.problem_cases import use_case

NONE = dict.fromkeys(
    ("max_logloss", "min_accuracy", "max_rmse", "max_mae", "min_r2", "max_bias", "max_decile_error")
)


def former(case: UseCase) -> dict:
    """The dump of the use case as it was written before problems were declarations."""
    values = json.loads(case.model_dump_json())
    problem, data_set = values.pop("problem"), values["data_set"]
    values |= {"problem": problem.pop("kind")} | {name: data_set[name] for name in OF_DATA_SET}
    of_label = {name: problem.pop(name, None) for name in ("classes", "bounds", "positive")}
    values["label"] |= {
        "table": data_set["label_table"],
        "time_column": data_set["label_time"],
        "classes": of_label["classes"] or [],
        "bounds": of_label["bounds"] or [],
        "positive": of_label["positive"],
    }
    values["gates"] |= {**NONE, "loss": "squared", "max_slice_bias": 0.25, **problem}
    if not data_set["name"]:
        values["data_set"] = None
    return values


@pytest.mark.parametrize(
    "case",
    [USE_CASE, PARCELS, use_case("regression"), use_case("multiclass")],
    ids=["shared data set", "own data set", "regression", "multiclass"],
)
def test_a_former_specification_reads_as_todays(case):
    read = UseCase.model_validate(former(case))
    assert read.model_dump() == case.model_dump()
    assert read.training_data == case.training_data


def test_a_former_limit_of_the_psi_reads_as_the_effect_that_it_is():
    values = json.loads(USE_CASE.model_dump_json())
    del values["monitoring"]["drift_effect"]
    values["monitoring"]["feature_psi"] = 0.5
    assert UseCase.model_validate(values).monitoring.drift_effect == 0.25
