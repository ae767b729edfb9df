from __future__ import annotations

import socket
import time

import pytest
from celery import Celery
from celery.contrib.testing import worker

from cli.platform.environment import airflow_environment, settings_environment
from cli.platform.preflight import require_executor
from cli.platform.processes import component, component_names, platform_processes
from cli.workers.celery_workers import node_name, silence
from cli.workers.health import main
from include.errors import PlatformError, SettingsError
from include.settings import load_settings
from proofs.harness.store_servers import RedisServer

BROKER = "redis://:planted-password@queue:6379/2"


def celery(folder, **more):
    variables = {"HOME": folder, "EXECUTOR": "celery", "AIRFLOW_DATABASE": "sqlite", **more}
    return load_settings({f"FLIGHTDECK_{name}": str(value) for name, value in variables.items()})


def test_airflow_alone_is_told_the_broker(tmp_path):
    settings = celery(tmp_path, BROKER_URL=BROKER)
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__CORE__EXECUTOR"].endswith(".CeleryExecutor")
    assert environment["AIRFLOW__CELERY__BROKER_URL"] == BROKER
    # Results too: a worker needs no way to Airflow's database.
    assert environment["AIRFLOW__CELERY__RESULT_BACKEND"] == BROKER
    assert "planted-password" not in str(settings_environment(settings))
    assert "planted-password" not in repr(settings)
    others = [one for one in platform_processes(settings) if not one.name.startswith("airflow")]
    assert others
    assert not [one for one in others if "planted-password" in str(one.environment)]


def test_no_password_of_the_broker_stands_on_a_command_line(tmp_path):
    settings = celery(tmp_path, BROKER_URL=BROKER)
    assert not [
        one for one in platform_processes(settings) if "planted-password" in str(one.command)
    ]


def test_the_platform_has_one_worker_and_more_have_other_names(tmp_path):
    settings = celery(tmp_path, BROKER_URL=BROKER)
    (worker,) = [one for one in platform_processes(settings) if one.name == "airflow-worker"]
    assert worker.node == node_name(settings)
    assert worker.runs_work
    assert not worker.stops_family
    assert "airflow-worker" in component_names()
    other = component(settings, "airflow-worker")
    assert other.node != worker.node
    assert other.node.endswith(f"@{socket.gethostname()}")
    home = celery(tmp_path / "other", BROKER_URL=BROKER)
    assert node_name(home) != node_name(settings)
    local = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    assert not [one for one in platform_processes(local) if one.name == "airflow-worker"]


def test_without_a_broker_it_says_what_to_set(tmp_path):
    settings = celery(tmp_path)
    with pytest.raises(PlatformError, match=r"FLIGHTDECK_BROKER_URL is not set.*redis://host"):
        require_executor(settings)
    # Whoever stops the platform need not name it.
    assert "airflow-worker" in {one.name for one in platform_processes(settings)}


@pytest.mark.parametrize("value", ["queue:6379", "amqp://queue", "redis://", "redis:///0"])
def test_an_address_that_is_no_redis_is_refused_with_what_is_valid(tmp_path, value):
    with pytest.raises(SettingsError, match=r"FLIGHTDECK_BROKER_URL.*valid are redis://"):
        celery(tmp_path, BROKER_URL=value)


@pytest.mark.slow
def test_a_broker_that_is_away_makes_the_worker_not_well():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert silence(f"redis://127.0.0.1:{port}/0", "worker@here").startswith("the broker does not")


@pytest.mark.slow
def test_a_worker_of_this_host_is_asked_through_its_broker(tmp_path, monkeypatch, capsys):
    """As the container of a worker does, which knows its host and not the worker's number."""
    with RedisServer() as server:
        monkeypatch.setenv("FLIGHTDECK_EXECUTOR", "celery")
        monkeypatch.setenv("FLIGHTDECK_BROKER_URL", server.url)
        application = Celery(broker=server.url, backend=server.url, set_as_current=False)
        name = f"worker-7@{socket.gethostname()}"
        with worker.start_worker(application, hostname=name, perform_ping_check=False):
            # Its thread may not have had a turn yet; a container asks again too.
            deadline = time.monotonic() + 300
            while main() != 0:
                assert time.monotonic() < deadline
            assert silence(server.url, name) == ""
            assert "worker-8@elsewhere does not answer" in silence(server.url, "worker-8@elsewhere")
        assert main() == 1
        assert "does not answer through the broker" in capsys.readouterr().err
