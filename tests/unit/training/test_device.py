"""Where a model is fitted is declared or the environment's, recorded, and asked for again when the
training is repeated.
"""

from __future__ import annotations

import pytest

from include.model.package import SnapshotRecord, TrainingInterval
from include.settings import load_settings
from include.training.estimator import cuda_devices, device_of
from include.training.provenance import environment
from include.training.record import TrainingRecord
from include.training.reproduce import differences, stated_tolerance
from tests.unit.model.synthetic import START
from tests.unit.problems.problem_cases import use_case


def record(case, device) -> TrainingRecord:
    return TrainingRecord(
        specification=case,
        run_id="r",
        process="training",
        interval=TrainingInterval(start=START, end=START),
        snapshot=SnapshotRecord(name="s", uri="u", version=0, digest="0"),
        boundaries={},
        parameters={},
        threads=1,
        device=device,
        code_commit="c",
        lock_digest="l",
        environment=environment(),
    )


@pytest.mark.parametrize(
    ("estimator", "found"),
    [
        ({"kind": "xgboost"}, "cuda"),
        ({"kind": "xgboost", "device": "cpu"}, "cpu"),
        ({"kind": "sklearn", "path": "sklearn.linear_model.LogisticRegression"}, "cpu"),
    ],
)
def test_a_declared_device_goes_over_the_environments_and_scikit_learn_stays_on_the_cpu(
    estimator, found, tmp_path
):
    settings = load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_TRAINING_DEVICE": "cuda"}
    )
    assert device_of(use_case("binary", estimator=estimator), settings) == found


def test_a_fit_on_a_gpu_is_repeated_on_one_only(tmp_path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    blocking = [
        finding.what
        for finding in differences(record(use_case("binary"), "cuda"), settings)
        if finding.blocking
    ]
    assert blocking == ([] if cuda_devices() else ["device"])
    assert not any(
        finding.blocking for finding in differences(record(use_case("binary"), "cpu"), settings)
    )


def test_the_tolerance_of_a_repetition_is_the_estimators_own():
    assert stated_tolerance(record(use_case("binary"), "cpu")) is None
    assert stated_tolerance(record(use_case("binary", sklearn=True), "cpu")) == 1e-9
