"""The package check: in a child process, so that even a package that kills its reader is only a
refusal.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost

from include.catalogue import load_use_case
from include.features.transform import FeatureTransform
from include.model.package import (
    MODEL_FILE,
    ModelMetadata,
    golden_rows,
    package_digest,
    write_package,
)
from include.release.checks import Limits, check_package, limits_of
from include.release.target import locked_versions, target_checks
from include.spec import Target, UseCase
from include.training.provenance import library_versions

pytestmark = pytest.mark.slow  # measured at two seconds or more


@pytest.fixture(scope="module")
def use_case() -> UseCase:
    return load_use_case("flight_delays")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, use_case: UseCase) -> tuple[Path, str]:
    """A small real booster on synthetic rows, as training writes it."""
    frame = synthetic(use_case, 400)
    transform = FeatureTransform.fit(use_case, frame)
    matrix = transform.apply_frame(frame)
    labels = (matrix[:, transform.feature_names.index("temperature")] > 50).astype(np.float32)
    data = xgboost.DMatrix(
        matrix,
        label=labels,
        feature_names=transform.feature_names,
        feature_types=transform.feature_types,
        enable_categorical=True,
    )
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, num_boost_round=5
    )
    rows = frame.head(20)
    scores = booster.inplace_predict(transform.apply_frame(rows))
    golden = {"rows": golden_rows(transform, rows), "scores": [float(score) for score in scores]}
    folder = tmp_path_factory.mktemp("checks") / "package"
    return folder, write_package(
        folder,
        booster,
        transform,
        metadata(use_case),
        {"rows": 400, "inputs": {}, "score": {}},
        golden,
    )


def synthetic(use_case: UseCase, count: int) -> pl.DataFrame:
    generator = np.random.default_rng(7)
    times = pl.datetime_range(
        pl.datetime(2013, 1, 1, time_zone="UTC"),
        pl.datetime(2013, 3, 1, time_zone="UTC"),
        "1h",
        eager=True,
    ).head(count)
    columns: dict[str, Any] = {
        use_case.event_time: times,
        "scheduled_departure": times.dt.offset_by("3h"),
    }
    for item in use_case.inputs:
        name = item.source.replace(":", "__")
        if item.kind == "category":
            columns[name] = generator.choice(["A", "B", "C"], count).tolist()
        elif item.kind == "number":
            columns[name] = generator.uniform(0, 100, count).tolist()
    return pl.DataFrame(columns)


def metadata(use_case: UseCase, **changes: Any) -> ModelMetadata:
    values: dict[str, Any] = {
        "use_case": use_case.name,
        "run_id": "run",
        "feature_service": use_case.feature_service,
        "interval": {"start": "2013-01-01T00:00:00Z", "end": "2013-03-01T00:00:00Z"},
        "snapshot": {"name": "s", "uri": "s", "version": 0, "digest": "0"},
        "seed": 1,
        "parameters": {},
        "best_iteration": 4,
        "base_rate": 0.5,
        "decision_threshold": 0.35,
        "metrics": {},
        "libraries": library_versions(),
        "code_commit": "0",
        **changes,
    }
    return ModelMetadata(**values)


def changed(package: tuple[Path, str], folder: Path, name: str, content: bytes) -> tuple[Path, str]:
    """A copy with one file replaced and a digest that fits: what a careless or hostile producer
    would have registered.
    """
    shutil.copytree(package[0], folder)
    (folder / name).write_bytes(content)
    digest = package_digest(folder)
    record = json.loads((folder / "digest.json").read_text())
    (folder / "digest.json").write_text(json.dumps({**record, "digest": digest}))
    return folder, digest


def test_a_good_package_is_accepted_with_its_measurements(
    package: tuple[Path, str], use_case: UseCase
) -> None:
    verdict = check_package(*package, use_case)
    assert verdict.accepted, verdict.reasons
    checks = {finding.rule: finding for finding in verdict.findings}
    assert list(checks) == [
        "size_bytes",
        "loads",
        "files",
        "golden_difference",
        "latency_p50_ms",
        "latency_p99_ms",
        "batch_ms",
        "libraries",
        "interface",
        "target_python",
        "target_machine",
        "target_libraries",
        "target_memory_mb",
    ]
    assert 0 < checks["latency_p50_ms"].observed <= checks["latency_p99_ms"].observed
    assert checks["latency_p50_ms"].observed < checks["batch_ms"].observed
    assert checks["size_bytes"].observed == sum(
        path.stat().st_size for path in package[0].iterdir()
    )
    json.dumps(verdict.model_dump(mode="json"), allow_nan=False)


def test_limits_bite(package: tuple[Path, str], use_case: UseCase) -> None:
    verdict = check_package(
        *package,
        use_case,
        Limits(size_bytes=100, latency_p50_ms=1e-6, latency_p99_ms=1e-6, batch_ms=1e-6),
    )
    assert [reason.split(":")[0] for reason in verdict.reasons] == [
        "size_bytes",
        "latency_p50_ms",
        "latency_p99_ms",
        "batch_ms",
    ]
    slow = check_package(*package, use_case, replace(limits_of(use_case), seconds=0.01))
    assert slow.reasons == ["loads: no answer within 0.01 s, allowed 0.01 s"]


def test_another_digest_is_refused(package: tuple[Path, str], use_case: UseCase) -> None:
    verdict = check_package(package[0], "f" * 64, use_case)
    assert not verdict.accepted
    assert "DigestMismatch" in verdict.reasons[0]


def test_a_model_that_kills_the_process_is_a_named_refusal(
    package: tuple[Path, str], use_case: UseCase, tmp_path: Path
) -> None:
    booster = xgboost.Booster(model_file=str(package[0] / MODEL_FILE))
    document = json.loads(booster.save_raw("json"))
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["left_children"][0] = 2_000_000_000
    verdict = check_package(
        *changed(package, tmp_path / "crash", MODEL_FILE, json.dumps(document).encode()), use_case
    )
    assert not verdict.accepted
    assert "the process that loaded it died of SIG" in verdict.reasons[0]


def test_wrong_golden_scores_are_refused(
    package: tuple[Path, str], use_case: UseCase, tmp_path: Path
) -> None:
    golden = json.loads((package[0] / "golden.json").read_text())
    golden["scores"][3] += 1e-5
    verdict = check_package(
        *changed(package, tmp_path / "golden", "golden.json", json.dumps(golden).encode()), use_case
    )
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["golden_difference"]


def test_a_package_of_another_interface_is_refused(
    package: tuple[Path, str], use_case: UseCase, tmp_path: Path
) -> None:
    other = metadata(use_case, problem="regression").model_dump_json().encode()
    verdict = check_package(
        *changed(package, tmp_path / "interface", "metadata.json", other), use_case
    )
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["interface"]
    assert "regression" in verdict.reasons[0]


def test_other_libraries_than_those_of_the_training_are_refused(
    package: tuple[Path, str], use_case: UseCase, tmp_path: Path
) -> None:
    other = (
        metadata(use_case, libraries={**library_versions(), "xgboost": "0.90", "mlflow": "0.1"})
        .model_dump_json()
        .encode()
    )
    verdict = check_package(
        *changed(package, tmp_path / "libraries", "metadata.json", other), use_case
    )
    assert [reason.split(":")[0] for reason in verdict.reasons] == [
        "libraries",
        "target_libraries",
    ]
    assert "trained with 0.90, here is" in verdict.reasons[0]
    assert "mlflow" not in verdict.reasons[0]


@pytest.mark.parametrize(
    ("target", "refused", "named"),
    [
        (
            {"python": "3.99"},
            ["target_python", "target_libraries"],
            "allowed 3.99; check the package on such a machine",
        ),
        ({"machine": "riscv64"}, ["target_machine"], "allowed riscv64"),
        ({"memory_megabytes": 20.0}, ["target_memory_mb"], "allowed 20.0"),
    ],
)
def test_a_target_that_the_package_does_not_fit_is_refused_by_name(
    package: tuple[Path, str],
    use_case: UseCase,
    target: dict[str, Any],
    refused: list[str],
    named: str,
) -> None:
    verdict = check_package(*package, use_case.model_copy(update={"target": Target(**target)}))
    found = [reason.split(":")[0] for reason in verdict.reasons]
    # A lock that covers the target installs something else there, or just the same.
    assert [name for name in found if name != "target_libraries"] == [
        name for name in refused if name != "target_libraries"
    ]
    assert named in verdict.reasons[0]


def test_a_lock_with_other_libraries_is_refused_by_name(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    pins = (
        "numpy==2.4.6 ; python_full_version < '3.12'",
        "numpy==2.5.5 ; python_full_version >= '3.12'",
        "xgboost==3.2.0",
    )
    lock.write_text("".join(f"{pin} \\\n    --hash=sha256:0\n" for pin in pins))
    assert locked_versions(lock, "3.11", "x86_64") == {"numpy": "2.4.6", "xgboost": "3.2.0"}
    measured = {"python": "3.12.1", "machine": "x86_64", "peak_memory_mb": 100.0}
    recorded = {"numpy": "2.4.6", "xgboost": "3.2.0", "polars": "2.1.0"}
    target = Target(python="3.12", machine="x86_64")
    findings = target_checks(target, recorded, ("numpy", "xgboost", "polars"), measured, lock)
    (refused,) = [finding for finding in findings if not finding.passed]
    assert refused.rule == "target_libraries"
    assert refused.observed == {
        "numpy": "trained with 2.4.6, locked for Python 3.12 on x86_64 is 2.5.5",
        "polars": "trained with 2.1.0, locked for Python 3.12 on x86_64 is none",
    }
    missing = target_checks(target, recorded, ("xgboost",), measured, tmp_path / "none.txt")
    assert [item.rule for item in missing if not item.passed] == ["target_libraries"]
