"""One process of the platform in the foreground."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import typer

from cli.application import invoke
from cli.platform.processes import component, component_names, platform_processes
from include.errors import PlatformError
from include.settings import load_settings


@pytest.fixture(autouse=True)
def own_mask():
    """The commands narrow what their process lets others read, and here they are not processes."""
    mask = os.umask(0o022)
    yield
    os.umask(mask)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home of the component, through the environment as a container has it."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLIGHTDECK_AIRFLOW_DATABASE", "sqlite")
    return tmp_path / "home"


@pytest.fixture
def started(monkeypatch):
    """The command and the environment that would take this process's place."""
    calls: list[tuple[list[str], dict[str, str], str]] = []

    def take_the_place(program, command, environment):
        calls.append((list(command), environment, str(Path.cwd())))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", take_the_place)
    monkeypatch.chdir(Path.cwd())  # taken back at the end
    return calls


def test_every_process_of_the_platform_can_run_by_itself(home):
    settings = load_settings().model_copy(
        update={"executor": "celery", "broker_url": "redis://queue"}
    )
    assert set(component_names()) == {one.name for one in platform_processes(settings)}


@pytest.mark.parametrize("name", component_names())
def test_it_is_the_process_that_up_starts(home, started, name, monkeypatch):
    if name == "airflow-worker":
        monkeypatch.setenv("FLIGHTDECK_EXECUTOR", "celery")
        monkeypatch.setenv("FLIGHTDECK_BROKER_URL", "redis://queue")
    with pytest.raises(SystemExit):
        invoke(["component", name])
    ((command, environment, folder),) = started
    expected = component(load_settings(), name)
    assert tuple(command) == expected.command
    assert expected.environment.items() <= environment.items() | {
        (key, value) for key, value in expected.environment.items() if key.lower() == "no_proxy"
    }
    assert folder == str(expected.directory)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_an_endpoint_or_a_tracking_server_gets_no_secret_of_airflow(home, started):
    for name in ("mlflow", "serving"):
        with pytest.raises(SystemExit):
            invoke(["component", name])
    assert not (home / "airflow").exists()
    assert not any(
        key.startswith("AIRFLOW__") for _, environment, _ in started for key in environment
    )


def test_a_worker_that_nobody_gives_work_is_refused(home, started):
    with pytest.raises(PlatformError, match=r"FLIGHTDECK_EXECUTOR is local.*FLIGHTDECK_BROKER_URL"):
        invoke(["component", "airflow-worker"])
    assert started == []


def test_a_name_that_is_none_is_refused_with_the_nearest(home):
    with pytest.raises(typer.BadParameter, match="did you mean 'airflow-scheduler'"):
        invoke(["component", "airflow-schedule"])


@pytest.mark.slow
def test_mlflows_database_is_brought_up_to_date_where_there_is_no_airflow(home, capsys):
    assert invoke(["migrate", "mlflow"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert (home / "mlflow" / "mlflow.db").stat().st_size > 0
    assert not (home / "airflow").exists(), "no secrets either"


def test_a_database_that_is_none_is_refused(home):
    with pytest.raises(typer.BadParameter, match="airflow"):
        invoke(["migrate", "feast"])
