"""Tasks on Celery's workers: two real ones on a real broker, of which the one that trains dies."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from cli.platform.airflow_api import AirflowApi
from cli.platform.environment import process_environment
from cli.platform.supervision import process_states
from cli.platform.tasks import running_tasks
from cli.workers.celery_workers import silence
from include.features.store import apply_definitions
from include.registry.client import connect
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.harness.ports import free_ports
from proofs.harness.store_servers import RedisServer
from tests.processes import runs
from tests.unit.features.world import build

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TRAINING = "flight_delays__training"
SPECIFICATION = {
    "flight_delays": {
        "training": {"window_days": 59},
        # The gates are not what is tried, and two months are little for a single carrier.
        "gates": {"min_slice_brier_skill": -1.0, "max_slice_calibration_excess": 1.0},
    }
}


@dataclass
class Workers:
    """A platform on Celery: its settings, its environment, and the second worker's process."""

    settings: Settings
    environment: dict[str, str]
    second: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        """The main process of each worker."""
        return [process_states(self.settings)["airflow-worker"].pid, self.second.pid]

    def busy(self) -> list[int]:
        """Those that run a task."""
        return [pid for pid in self.pids() if running_tasks(pid)]


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=700,
        check=False,
    )


def without(environment: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key != name}


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {seconds:g} s"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    home = tmp_path_factory.mktemp("workers")
    overlay = home / "overlay.json"
    overlay.write_text(json.dumps(SPECIFICATION))
    ports = free_ports(3)
    with ExitStack() as stack:
        broker = stack.enter_context(RedisServer())
        variables = {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(home),
            "FLIGHTDECK_SAMPLE_SHARE": "0.2",
            "FLIGHTDECK_SPEC_OVERLAY": str(overlay),
            "FLIGHTDECK_EXECUTOR": "celery",
            "FLIGHTDECK_BROKER_URL": broker.url,
            "FLIGHTDECK_AIRFLOW_PORT": str(ports[0]),
            "FLIGHTDECK_MLFLOW_PORT": str(ports[1]),
            "FLIGHTDECK_SERVING_PORT": str(ports[2]),
        }
        settings, environment = load_settings(variables), process_environment(variables)
        build(home, 2, 0.2)
        apply_definitions(settings)
        started = command(environment, "up")
        stack.callback(command, environment, "down")
        assert started.returncode == 0, started.stdout + started.stderr
        assert "airflow-worker" in started.stdout
        with (home / "second.log").open("wb") as log:
            second = subprocess.Popen(
                [sys.executable, "-m", "cli", "component", "airflow-worker"],
                cwd=PROJECT_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        stack.callback(end, second)
        wait_for(
            lambda: not silence(broker.url, f"worker-{second.pid}@{name_of_host()}"),
            120,
            (home / "second.log").read_text(),
        )
        yield Workers(settings, environment, second)


def name_of_host() -> str:
    return socket.gethostname()


def end(process: subprocess.Popen[bytes]) -> None:
    kill_family(process.pid)
    process.wait()


def kill_family(pid: int) -> list[int]:
    """kill -9 of a process and all below it, as when its machine goes; who they were."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return [process.pid for process in family]
    return []


def test_status_asks_each_worker_through_the_broker(workers: Workers):
    status = command(workers.environment, "status")
    assert status.returncode == 0, status.stdout
    (row,) = [row for row in status.stdout.splitlines() if row.startswith("airflow-worker ")]
    assert row.endswith("yes")


def test_nobody_but_airflow_is_told_the_brokers_password(workers: Workers):
    for process in psutil.process_iter(["cmdline"]):
        assert "broker-password" not in " ".join(process.info["cmdline"] or [])
    mlflow = psutil.Process(process_states(workers.settings)["mlflow"].pid)
    assert not any("BROKER_URL" in name for name in mlflow.environ())


def test_a_worker_that_dies_while_it_trains_costs_a_try_and_nothing_is_doubled(workers: Workers):
    with AirflowApi(workers.settings) as api:
        api.wait_for_dag(TRAINING)
        run = "the-worker-dies"
        api.trigger(
            TRAINING, run, conf={"until": "2013-03-01", "reason": "its worker dies", "trials": 6}
        )

        def tuning() -> bool:
            assert api.run_state(TRAINING, run) != "failed", api.failures(TRAINING, run)
            return api.task_states(TRAINING, run).get("tune_model") == "running"

        wait_for(tuning, 240, "tune_model runs")
        wait_for(workers.busy, 30, "a worker is busy")
        (doomed,) = workers.busy()
        killed = kill_family(doomed)
        assert len(killed) > 2
        wait_for(lambda: not [pid for pid in killed if runs(pid)], 30, "they are dead")
        wait_for(lambda: api.run_state(TRAINING, run) in ("success", "failed"), 400, "over")
        assert api.run_state(TRAINING, run) == "success", api.failures(TRAINING, run)
        tries = {
            task["task_id"]: task["try_number"]
            for task in api.get(f"/api/v2/dags/{TRAINING}/dagRuns/{run}/taskInstances")[
                "task_instances"
            ]
        }
    assert tries["tune_model"] == 2
    assert tries["train_model"] == 1
    versions = connect(workers.settings).search_model_versions("name='flight_delays'")
    assert [version.version for version in versions] == ["1"]


def test_what_is_built_leaves_a_home_like_any_other(workers: Workers, tmp_path: Path):
    """The platform stops with its worker, and nothing of it is left."""
    family = [pid for pid in workers.pids() if pid != workers.second.pid]
    # The address of the broker is nothing that a stop needs.
    stopped = command(without(workers.environment, "FLIGHTDECK_BROKER_URL"), "down")
    assert stopped.returncode == 0, stopped.stderr
    assert not [pid for pid in family if runs(pid)]
