import json
import stat
from dataclasses import asdict, replace

import pytest

from cli.platform.state import PlatformState, read_state, running_settings, state_path, write_state
from include.errors import PlatformError
from include.settings import load_settings

STATE = PlatformState(
    platform_id="a",
    started_at=1.0,
    boot_time=0.0,
    host="127.0.0.1",
    airflow_port=8081,
    mlflow_port=5001,
    serving_port=3001,
)


def test_the_ports_of_a_started_platform_hold_for_later_commands(tmp_path):
    environ = {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_AIRFLOW_PORT": "9999"}
    write_state(load_settings(environ), STATE)
    settings = running_settings(environ)
    assert (settings.airflow_port, settings.mlflow_port, settings.serving_port) == (
        8081,
        5001,
        3001,
    )
    assert settings.mlflow_tracking_uri == "http://127.0.0.1:5001"
    assert settings.serving_url == "http://127.0.0.1:3001"


def test_without_a_platform_the_environment_speaks(tmp_path):
    environ = {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_AIRFLOW_PORT": "9999"}
    assert running_settings(environ) == load_settings(environ)
    assert read_state(load_settings(environ)) is None


def test_a_damaged_state_is_named(tmp_path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    write_state(settings, STATE)
    state_path(settings).write_text('{"platform_id": "a"')
    with pytest.raises(PlatformError, match=r"platform\.json is damaged"):
        read_state(settings)


def test_the_database_of_a_started_platform_holds_for_later_commands(tmp_path):
    own = "postgresql://me:s3cret@db/airflow"
    environ = {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_AIRFLOW_DATABASE": "embedded"}
    settings = load_settings(environ)
    write_state(settings, replace(STATE, airflow_database=own))
    assert running_settings(environ).airflow_database == own
    assert stat.S_IMODE(state_path(settings).stat().st_mode) == 0o600


def test_the_services_of_a_started_host_hold_for_a_command_that_names_none(tmp_path):
    """It can be stopped where the variables of its start are no longer set."""
    environ = {"FLIGHTDECK_HOME": str(tmp_path)}
    elsewhere = {"mlflow_tracking_uri": "https://mlflow.example.com"}
    started = replace(STATE, services="serving", elsewhere=elsewhere)
    write_state(load_settings(environ), started)
    settings = running_settings(environ)
    assert settings.runs == {"serving"}
    assert settings.mlflow_tracking_uri == "https://mlflow.example.com"
    assert settings.serving_url == "http://127.0.0.1:3001"
    others = {**environ, "FLIGHTDECK_ENV": "test"}
    assert running_settings(others).runs == {"serving"}


def test_a_platform_of_a_version_that_had_sqlite_alone_is_understood(tmp_path):
    environ = {"FLIGHTDECK_HOME": str(tmp_path)}
    written = {name: value for name, value in asdict(STATE).items() if name != "airflow_database"}
    path = state_path(load_settings(environ))
    path.parent.mkdir()
    path.write_text(json.dumps(written))
    assert running_settings(environ).airflow_database == "sqlite"
