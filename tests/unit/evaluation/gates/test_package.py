"""The gates on the package and against the baselines: what is missing refuses by name, and each
limit bites.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.evaluation.gates.registry import run_gates
from include.model.inspection import Inspection
from include.spec import Golden
from tests.unit.evaluation.gates.candidates import (
    DIGEST,
    MEASURED,
    PACKAGE,
    candidate,
    limited,
    refused_by,
    without,
)
from tests.unit.model.synthetic import START, with_golden


def inspected(**changes: Any) -> Inspection:
    measured = {**MEASURED, **changes}
    return Inspection(DIGEST, 300_000, [], measured)


@pytest.mark.parametrize(
    ("inspection", "gate", "text"),
    [
        (Inspection(DIGEST, 51_000_000, [], MEASURED), "package_size", "above the threshold"),
        (
            Inspection(DIGEST, 300_000, ["x.pkl: not one of the files of a package"], MEASURED),
            "artefact_safety",
            "x.pkl",
        ),
        (inspected(golden_difference=2e-6), "runtime_validity", "golden_difference"),
        (inspected(golden_difference=float("nan")), "runtime_validity", "golden_difference"),
        (
            inspected(libraries={"xgboost": "trained with 1, here is 2"}),
            "runtime_validity",
            "trained with 1",
        ),
        (inspected(latency_p50_ms=11.0), "latency", "latency_p50_ms"),
        (inspected(latency_p99_ms=251.0), "latency", "latency_p99_ms"),
        (inspected(batch_ms=251.0), "latency", "batch_ms"),
    ],
)
def test_each_gate_refuses_its_own_fault_and_no_other(inspection, gate, text):
    given = replace(candidate(), inspection=inspection)
    verdict = run_gates(given)
    assert refused_by(given) == {gate}
    assert len(verdict.reasons) == 1
    assert text in verdict.reasons[0]


def test_a_package_that_killed_its_process_is_refused_by_that_name_and_its_size_is_judged_still():
    died = Inspection(DIGEST, 300_000, [], None, "the process that loaded it died of SIGSEGV")
    given = replace(
        candidate(), inspection=died, package_digest=None, scores=None, problem=died.problem
    )
    refused = refused_by(given)
    assert {"runtime_validity", "latency", "evaluated_object"} <= refused
    assert not {"package_size", "artefact_safety"} & refused
    assert any(
        "runtime_validity" in reason and "SIGSEGV" in reason for reason in run_gates(given).reasons
    )


@pytest.mark.parametrize(
    "given",
    [
        replace(candidate(), inspection=None),
        replace(candidate(), inspection=replace(inspected(), digest="e" * 64)),
    ],
)
def test_a_package_that_was_not_inspected_is_refused_by_every_package_gate(given):
    assert refused_by(given) == PACKAGE


def test_a_candidate_must_beat_prior_and_last_value_and_not_lag_behind_the_simple_model():
    given = candidate()
    value = given.metrics["test.logloss"]
    for name, refused in (
        ("test.baseline.logloss", True),
        ("test.baseline.last_value.logloss", True),
        ("test.baseline.simple.logloss", False),
    ):
        equal = replace(given, metrics={**given.metrics, name: value})
        assert ("baselines" in refused_by(equal)) is refused
    worse = replace(given, metrics={**given.metrics, "test.baseline.simple.logloss": value - 1e-6})
    assert refused_by(worse) == {"baselines"}
    (reason,) = run_gates(worse).reasons
    assert "logistic regression" in reason
    assert reason.endswith("above gates.max_simple_model_deficit")


def test_a_deficit_that_so_few_rows_cannot_tell_from_none_is_no_refusal():
    given = candidate()
    value, simple = given.metrics["test.logloss"], "test.baseline.simple"
    metrics = {**given.metrics, f"{simple}.logloss": value - 0.004}
    noise = {f"{simple}.deficit.low": -0.003, f"{simple}.deficit.high": 0.011}
    assert refused_by(replace(given, metrics={**metrics, **noise})) == set()
    sure = {f"{simple}.deficit.low": 0.001, f"{simple}.deficit.high": 0.007}
    surely = replace(given, metrics={**metrics, **sure})
    assert refused_by(surely) == {"baselines"}
    assert "95 % interval 0.00100 to 0.00700" in run_gates(surely).reasons[0]
    assert refused_by(limited(surely, max_simple_model_deficit=0.002)) == set()


@pytest.mark.parametrize(
    "metric",
    ["test.baseline.logloss", "test.baseline.last_value.logloss", "test.baseline.simple.logloss"],
)
def test_a_missing_baseline_is_a_refusal_that_names_it(metric):
    verdict = run_gates(without(candidate(), metric))
    assert [reason for reason in verdict.reasons if f"metric {metric} is missing" in reason]


def test_a_declared_golden_set_must_have_been_measured_on_and_beat_its_prior():
    use_case = with_golden(Golden(until=START))
    given = replace(candidate(), use_case=use_case)
    assert refused_by(given) == {"golden"}
    assert "golden.logloss is missing" in run_gates(given).reasons[0]
    measured = {**given.metrics, "golden.logloss": 0.5, "golden.baseline.logloss": 0.6}
    assert refused_by(replace(given, metrics=measured)) == set()
    assert refused_by(replace(given, metrics={**measured, "golden.logloss": 0.7})) == {"golden"}


def test_what_the_golden_set_was_frozen_without_is_named_where_it_is_judged():
    metrics = {"golden.logloss": 0.7, "golden.baseline.logloss": 0.6}
    complete = replace(
        candidate(),
        use_case=with_golden(Golden(until=START)),
        metrics={**candidate().metrics, **metrics},
    )
    lacking = replace(complete, golden_lacks=("depot_daily__load",))
    (without,), (reason,) = run_gates(complete).reasons, run_gates(lacking).reasons
    assert "frozen without" not in without
    assert reason.endswith("frozen without depot_daily__load, missing in all its rows")
