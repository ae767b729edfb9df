"""Registration killed with SIGKILL at each of its writes: the retry leaves one whole, signed
version, and what is refused leaves none.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from include.errors import RegistryError, SignatureError
from include.registry import versions
from include.registry.client import connect
from include.registry.logged_model import log_package
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.verdict import Finding, GateVerdict
from proofs.harness.databases import mlflow_at
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
]
VERDICT = GateVerdict(findings=(Finding(rule="auc", passed=True),))
CHILD = """
import os, signal, sys
from mlflow import MlflowClient
from include.registry.versions import register_candidate
from include.settings import load_settings
from include.verdict import Finding, GateVerdict
from tests.unit.model.synthetic import USE_CASE

run_id, digest, method, moment = sys.argv[1:]
original = getattr(MlflowClient, method)

def killed(self, *arguments, **named):
    if moment == "after":
        original(self, *arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(MlflowClient, method, killed)
VERDICT = GateVerdict(findings=(Finding(rule="auc", passed=True),))
register_candidate(load_settings(), USE_CASE, run_id, digest, VERDICT)
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, str, Any]:
    folder = tmp_path_factory.mktemp("model") / "package"
    digest, model = fitted_package(folder, parcels(1000))
    return folder, digest, model.transform


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load_settings(
        {
            "FLIGHTDECK_HOME": str(tmp_path),
            "FLIGHTDECK_MLFLOW_TRACKING_URI": mlflow_at(tmp_path / "mlflow.db"),
        }
    )


@pytest.fixture
def run_id(settings, original) -> str:
    """A run that holds the logged package, not yet registered."""
    client = connect(settings)
    experiment = client.create_experiment(
        "parcels", artifact_location=(settings.home / "mlflow" / "artifacts").as_uri()
    )
    run = str(client.create_run(experiment).info.run_id)
    folder, digest, transform = original
    log_package(
        client,
        experiment_id=experiment,
        mlflow_run_id=run,
        package=folder,
        digest=digest,
        transform=transform,
        example=parcels(3),
    )
    return run


@pytest.mark.parametrize(
    ("method", "moment"),
    [
        ("create_registered_model", "after"),
        ("create_model_version", "before"),
        ("create_model_version", "after"),
        ("set_registered_model_alias", "before"),
        ("set_registered_model_alias", "after"),
    ],
)
def test_a_kill_during_registration_and_a_retry_leave_one_version(
    settings, original, run_id, tmp_path, method, moment
):
    digest = original[1]
    environment = {
        **os.environ,
        "FLIGHTDECK_HOME": str(settings.home),
        "FLIGHTDECK_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    command = [sys.executable, "-c", CHILD, run_id, digest, method, moment]
    child = subprocess.run(
        command,
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    number = versions.register_candidate(settings, USE_CASE, run_id, digest, VERDICT)
    assert versions.register_candidate(settings, USE_CASE, run_id, digest, VERDICT) == number == 1
    assert len(connect(settings).search_model_versions(f"name='{USE_CASE.name}'")) == 1
    challenger = versions.challenger(settings, USE_CASE)
    assert challenger is not None
    assert challenger.version == 1
    package = versions.download(challenger, tmp_path / "fetched")
    assert (package / "signature.json").is_file()


def test_many_first_writers_of_an_alias_all_point_it(settings, original, run_id):
    versions.register_candidate(settings, USE_CASE, run_id, original[1], VERDICT)
    client = connect(settings)
    with ThreadPoolExecutor(8) as writers:
        for _ in range(5):
            points = [
                writers.submit(versions.set_champion, settings, USE_CASE, 1) for _ in range(8)
            ]
            assert [point.result() for point in points] == [None] * 8
            champion = versions.champion(settings, USE_CASE)
            assert champion is not None
            assert champion.version == 1
            client.delete_registered_model_alias(USE_CASE.name, "champion")


def test_a_refused_candidate_becomes_no_version_and_carries_no_alias(settings, original, run_id):
    with pytest.raises(RegistryError, match="refused"):
        versions.register_candidate(
            settings,
            USE_CASE,
            run_id,
            original[1],
            GateVerdict(findings=(Finding(rule="auc", passed=False, reason="worse"),)),
        )
    assert connect(settings).search_model_versions(f"name='{USE_CASE.name}'") == []
    assert versions.challenger(settings, USE_CASE) is None


def test_a_version_whose_signature_was_removed_or_exchanged_is_not_fetched(
    settings, original, run_id, tmp_path
):
    versions.register_candidate(settings, USE_CASE, run_id, original[1], VERDICT)
    client = connect(settings)
    client.set_model_version_tag(USE_CASE.name, "1", versions.SIGNATURE_TAG, "{}")
    with pytest.raises(SignatureError, match="does not hold"):
        versions.download(versions.version(settings, USE_CASE, 1), tmp_path / "exchanged")
    client.delete_model_version_tag(USE_CASE.name, "1", versions.SIGNATURE_TAG)
    with pytest.raises(SignatureError, match="is not signed"):
        versions.download(versions.version(settings, USE_CASE, 1), tmp_path / "removed")
