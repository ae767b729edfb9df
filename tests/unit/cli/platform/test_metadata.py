"""Which database holds Airflow's metadata: what is asked for, what the home has, what runs here."""

import stat

import pytest

from cli.platform import metadata
from cli.platform.environment import (
    airflow_environment,
    common_environment,
    mlflow_environment,
    settings_environment,
)
from cli.platform.folders import socket_folder
from cli.platform.processes import platform_processes
from include.errors import PlatformError
from include.settings import load_settings
from tests.homes import ODD_NAME

OWN = "postgresql://me:s3cret@db.intranet/airflow"
CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def settings_in(folder, database=None):
    variables = {"FLIGHTDECK_HOME": str(folder)}
    if database is not None:
        variables["FLIGHTDECK_AIRFLOW_DATABASE"] = database
    return load_settings(variables)


@pytest.fixture
def no_postgres(monkeypatch):
    monkeypatch.setattr(metadata, "obstacle", lambda: "its programs do not run here")


@pytest.fixture
def postgres(monkeypatch):
    monkeypatch.setattr(metadata, "obstacle", lambda: None)


def has_sqlite(folder):
    (folder / "airflow").mkdir()
    (folder / "airflow" / "airflow.db").touch()


def names(settings):
    return [process.name for process in platform_processes(settings)]


def test_a_new_home_gets_the_platforms_postgresql(tmp_path, postgres):
    settings = settings_in(tmp_path)
    assert metadata.kind_of(settings) == "embedded"
    assert metadata.note(settings) == ""
    assert metadata.decided(settings).airflow_database == "embedded"
    assert names(settings)[0] == "airflow-database"


def test_a_home_with_a_sqlite_file_goes_on_with_it_and_says_so(tmp_path, postgres):
    has_sqlite(tmp_path)
    settings = settings_in(tmp_path)
    assert metadata.decided(settings).airflow_database == "sqlite"
    assert f"stay in {tmp_path / 'airflow' / 'airflow.db'}" in metadata.note(settings)
    assert "airflow-database" not in names(settings)
    assert airflow_environment(settings)[CONNECTION].endswith("airflow.db?timeout=30")


def test_a_home_that_has_left_sqlite_does_not_go_back(tmp_path, postgres):
    has_sqlite(tmp_path)
    (tmp_path / "airflow" / "postgresql").mkdir()
    assert metadata.kind_of(settings_in(tmp_path)) == "embedded"


def test_where_postgresql_cannot_run_it_is_sqlite_with_the_reason(tmp_path, no_postgres):
    settings = settings_in(tmp_path)
    assert metadata.decided(settings).airflow_database == "sqlite"
    assert "in SQLite, since its programs do not run here" in metadata.note(settings)


def test_a_postgresql_that_is_asked_for_and_cannot_run_is_an_error(tmp_path, no_postgres):
    with pytest.raises(PlatformError, match=r"do not run here. Set FLIGHTDECK_AIRFLOW_DATABASE to"):
        metadata.decided(settings_in(tmp_path, "embedded"))


def test_sqlite_that_is_asked_for_is_not_commented_on(tmp_path, postgres):
    settings = settings_in(tmp_path, "sqlite")
    assert metadata.decided(settings) == settings
    assert metadata.note(settings) == ""


def test_a_database_of_ones_own_reaches_airflow_and_nobody_else(tmp_path):
    settings = settings_in(tmp_path, OWN)
    environment = airflow_environment(settings)
    assert environment[CONNECTION] == OWN.replace("postgresql", "postgresql+psycopg")
    assert environment[f"{CONNECTION}_ASYNC"] == environment[CONNECTION]
    for other in (common_environment, mlflow_environment, settings_environment):
        assert "s3cret" not in str(other(settings))
    assert "airflow-database" not in names(settings)
    assert "s3cret" not in repr(settings)


def test_the_address_of_the_platforms_postgresql_survives_any_home(tmp_path):
    from sqlalchemy.engine import make_url

    settings = settings_in(tmp_path / ODD_NAME, "embedded")
    url = make_url(airflow_environment(settings)[CONNECTION])
    assert url.query["host"] == str(socket_folder(settings))
    assert url.password == metadata.password(settings)
    secret = settings.home / "airflow" / "database.json"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_home_with_a_comma_has_its_sockets_elsewhere(tmp_path):
    """A client would take what follows the comma for the name of another server."""
    options = metadata.client_options(settings_in(tmp_path / "one, two", "embedded"))
    assert "," not in options["host"]
