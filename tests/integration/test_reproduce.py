"""The version that the wired training registered, trained again by the one command; and the bench,
on a small part.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from cli.platform.environment import mlflow_file, process_environment
from cli.platform.processes import platform_processes
from cli.records.reproduce import reproduce
from cli.records.tracking import tracking_settings
from include.registry.versions import register_candidate
from include.settings import PROJECT_ROOT, load_settings
from include.tables.store import TableStore
from include.tls import trusted
from include.verdict import Finding, GateVerdict
from proofs.harness.data import land
from proofs.harness.ports import free_port
from tests.unit.scoring.world import FLIGHTS, HISTORY, JANUARY, World
from tests.unit.scoring.world import _train as train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_registered_version_is_trained_again_byte_for_byte(first_training, settings):
    registered = first_training.results["register_model"]
    done = command("reproduce", "flight_delays", str(registered["version"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same model, byte for byte" in done.stdout
    report = json.loads(
        (settings.home / "reproduce" / f"flight_delays-{registered['version']}.json").read_text()
    )
    assert (report["outcome"], report["proven"]) == ("identical", True)
    assert report["comparison"]["digest"] == report["registered_digest"] == registered["digest"]


def test_a_version_that_is_not_there_is_not_proven(first_training, settings):
    done = command("reproduce", "flight_delays", "77")
    assert done.returncode == 1
    assert "MISSING   version" in done.stdout


def test_the_make_target_passes_model_and_version():
    plan = subprocess.run(
        ["make", "-n", "reproduce", "MODEL=parcels", "VERSION=4"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'reproduce "parcels" "4"' in plan.stdout


def test_the_bench_compares_identical_rows(tmp_path):
    done = command("bench", "training", "--quick", "--only", "joins", FLIGHTDECK_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = {
        row["name"]: row
        for row in json.loads((tmp_path / "bench" / "training-quick.json").read_text())
    }
    join = rows["point-in-time join, 5,000 rows"]
    assert "5000 of 5000 rows, identical" in join["detail"]
    assert join["ratio"] > 0
    assert join["aim"] == 1.3
    assert not (tmp_path / "bench" / "home").exists(), "the tables are removed"


def test_the_record_is_read_from_the_server_and_without_it_from_its_database(tmp_path):
    settings = load_settings(
        {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(tmp_path),
            "FLIGHTDECK_MLFLOW_PORT": str(free_port()),
            "FLIGHTDECK_SAMPLE_SHARE": "0.1",
        }
    )
    mlflow = next(one for one in platform_processes(settings) if one.name == "mlflow")
    mlflow_file(settings).parent.mkdir(parents=True)
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            mlflow.command,
            env=process_environment(mlflow.environment),
            cwd=mlflow.directory,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(mlflow.health_url)
        land(settings, HISTORY)
        world = World(settings, TableStore(settings.tables_uri), 0, "")
        trained = train(world.context(JANUARY, "training"))
        digest = trained["train_model"]["digest"]
        number = register_candidate(
            settings,
            FLIGHTS,
            trained["open_run"]["mlflow_run_id"],
            digest,
            GateVerdict(findings=(Finding(rule="auc", passed=True),)),
        )
        assert tracking_settings(settings) == settings
        with_server = reproduce(settings, FLIGHTS.name, number)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    assert (with_server.outcome, with_server.registered_digest) == ("identical", digest)
    without = tracking_settings(settings)
    assert without.mlflow_tracking_uri == f"sqlite:///{mlflow_file(settings)}"
    assert reproduce(without, FLIGHTS.name, number).outcome == "identical"


def wait_for(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(url, verify=trusted()).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"nothing answers at {url}")
