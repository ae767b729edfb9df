import os
import shutil
import socket
from collections import namedtuple

import pytest

from cli.application import invoke
from cli.platform.preflight import require_disk, require_ports, require_writable
from cli.platform.processes import platform_processes
from include.errors import PlatformError, SettingsError
from include.home_version import FILE
from include.settings import load_settings
from proofs.harness.ports import free_ports

Usage = namedtuple("Usage", "total used free")


def settings_on(folder, airflow, mlflow, serving, grpc=0):
    return load_settings(
        {
            "FLIGHTDECK_HOME": str(folder),
            "FLIGHTDECK_AIRFLOW_PORT": str(airflow),
            "FLIGHTDECK_MLFLOW_PORT": str(mlflow),
            "FLIGHTDECK_SERVING_PORT": str(serving),
            "FLIGHTDECK_GRPC_PORT": str(grpc),
        }
    )


def test_free_ports_pass(tmp_path):
    settings = settings_on(tmp_path, *free_ports(4))
    require_ports(settings, platform_processes(settings))


def test_a_taken_port_is_named_with_who_wanted_it_and_what_changes_it(tmp_path):
    airflow, mlflow = free_ports(2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        settings = settings_on(tmp_path, airflow, mlflow, taken)
        with pytest.raises(PlatformError) as caught:
            require_ports(settings, platform_processes(settings))
    text = str(caught.value)
    assert f"port {taken}" in text
    assert "serving" in text
    assert f"make up SERVING_PORT={taken + 1}" in text
    assert "FLIGHTDECK_SERVING_PORT" in text
    assert "\n" not in text


def test_two_processes_cannot_share_a_port(tmp_path):
    one, two = free_ports(2)
    settings = settings_on(tmp_path, one, one, two)
    with pytest.raises(PlatformError, match=r"mlflow and airflow-api-server both want port"):
        require_ports(settings, platform_processes(settings))


def test_the_grpc_port_is_checked_too_and_is_the_next_one_unless_it_is_chosen(tmp_path):
    airflow, mlflow, serving = free_ports(3)
    settings = settings_on(tmp_path, airflow, mlflow, serving, serving)
    with pytest.raises(
        PlatformError,
        match=rf"both want port {serving}; choose another with `make up GRPC_PORT={serving + 1}`",
    ):
        require_ports(settings, platform_processes(settings))
    assert load_settings({"FLIGHTDECK_SERVING_PORT": "3010"}).grpc_port == 3011
    assert load_settings({"FLIGHTDECK_ENV": "test"}).grpc_port == 0


def test_evidentlys_ui_is_started_where_its_port_is_chosen_and_on_this_machine_alone(tmp_path):
    variables = {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_EVIDENTLY_PORT": "8001"}
    settings = load_settings(variables)
    process = platform_processes(settings)[-1]
    assert (process.name, process.port) == ("evidently", 8001)
    assert str(settings.evidently_dir) in process.command
    assert process.environment["DO_NOT_TRACK"] == "1"
    assert len(process.environment["EVIDENTLY_SECRET"]) == 32
    by_default = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    assert "evidently" not in {process.name for process in platform_processes(by_default)}
    with pytest.raises(SettingsError, match="knows no accounts"):
        load_settings({**variables, "FLIGHTDECK_HOST": "0.0.0.0"})


def test_a_full_disk_says_how_much_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 3 * 10**8))
    with pytest.raises(PlatformError, match=r"0\.30 GB free and the platform needs 1 GB"):
        require_disk(settings_on(tmp_path, 1, 2, 3))


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path / "file" / "home")})
    with pytest.raises(PlatformError, match=r"cannot be written to \(.*\); set FLIGHTDECK_HOME to"):
        require_writable(settings)


@pytest.mark.parametrize("command", [["up"], ["migrate"], ["component", "serving"]])
def test_nothing_starts_over_a_home_of_a_newer_version(tmp_path, monkeypatch, command):
    (tmp_path / FILE).write_text('{"version": "7.1.0"}')
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    mask = os.umask(0o077)
    try:
        with pytest.raises(SettingsError, match=r"was written by Flightdeck 7\.1\.0, and this is"):
            invoke(command)
    finally:
        os.umask(mask)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, "run"]


def test_a_home_that_others_could_open_is_closed(tmp_path):
    tmp_path.chmod(0o755)
    require_writable(load_settings({"FLIGHTDECK_HOME": str(tmp_path)}))
    assert tmp_path.stat().st_mode & 0o777 == 0o700
