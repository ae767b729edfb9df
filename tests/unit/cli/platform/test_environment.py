import json
import stat

import pytest

from cli.platform.environment import (
    airflow_environment,
    common_environment,
    ensure_secrets,
    mlflow_environment,
    passwords,
    passwords_file,
    process_environment,
)
from cli.platform.folders import airflow_home
from cli.platform.preflight import require_sign_in
from cli.platform.processes import component
from include.errors import PlatformError, SettingsError
from include.settings import PROJECT_ROOT, Settings, load_settings


def settings_in(folder, **variables) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(folder), **variables})


def test_the_same_settings_give_the_same_environment(tmp_path):
    settings = settings_in(tmp_path)
    assert airflow_environment(settings) == airflow_environment(settings)


def test_a_child_loads_the_settings_of_its_parent(tmp_path):
    settings = settings_in(
        tmp_path,
        FLIGHTDECK_ENV="staging",
        FLIGHTDECK_AIRFLOW_PORT="8181",
        FLIGHTDECK_SAMPLE_SHARE="0.1",
        FLIGHTDECK_TABLES_URI="s3://lake",
        AWS_REGION="eu-central-1",
    )
    # As `process_environment` has it inherited.
    assert load_settings({"AWS_REGION": "eu-central-1", **common_environment(settings)}) == settings


def test_airflow_is_told_where_the_project_lies(tmp_path):
    environment = airflow_environment(settings_in(tmp_path, FLIGHTDECK_AIRFLOW_PORT="8181"))
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(PROJECT_ROOT / "dags")
    assert (
        environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8181/execution/"
    )
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["PYTHONPATH"].split(":")[0] == str(PROJECT_ROOT)


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path):
    settings = settings_in(tmp_path)
    first = ensure_secrets(settings)
    assert ensure_secrets(settings) == first
    assert ensure_secrets(settings_in(tmp_path / "other")) != first
    for path in (passwords_file(settings), airflow_home(settings) / "secrets.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(airflow_home(settings).stat().st_mode) == 0o700
    assert [
        path.name for path in airflow_home(settings).iterdir() if path.name.startswith(".")
    ] == []


def test_the_fernet_key_is_one(tmp_path):
    from cryptography.fernet import Fernet

    assert Fernet(ensure_secrets(settings_in(tmp_path)).fernet_key.encode())


def test_each_user_has_a_password_of_their_own(tmp_path):
    settings = settings_in(tmp_path)
    found = passwords(settings)
    assert found.keys() == settings.accounts.keys() | settings.mlflow_accounts.keys()
    assert len(set(found.values())) == len(found)
    assert json.loads((tmp_path / "airflow" / "passwords.json").read_text()) == found


def test_passwords_of_the_file_of_accounts_come_before_those_that_were_made(tmp_path):
    made = passwords(settings_in(tmp_path))
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"reviewer": "of the deployment"}))
    settings = settings_in(tmp_path, FLIGHTDECK_AIRFLOW_ACCOUNTS_FILE=str(file))
    assert passwords(settings) == {**made, "reviewer": "of the deployment"}
    file.write_text("[")
    with pytest.raises(SettingsError, match=r"accounts\.json, which holds passwords.*cannot be"):
        passwords(settings)


def test_mlflow_asks_who_somebody_is_unless_it_is_open(tmp_path):
    asking, open_to_all = (
        settings_in(tmp_path / access, FLIGHTDECK_MLFLOW_ACCESS=access)
        for access in ("accounts", "open")
    )
    assert "include.registry.server" in component(asking, "mlflow").command
    assert passwords_file(asking).exists(), "the server finds its accounts' passwords"
    command = component(open_to_all, "mlflow").command
    assert command[2:4] == ("mlflow", "server")
    assert not passwords_file(open_to_all).exists()
    for beyond in ({"FLIGHTDECK_HOST": "0.0.0.0"}, {"FLIGHTDECK_HOST": "10.0.0.7"}):
        require_sign_in(settings_in(tmp_path, FLIGHTDECK_MLFLOW_ACCESS="accounts", **beyond))
        with pytest.raises(PlatformError, match="FLIGHTDECK_MLFLOW_ACCESS=accounts, or FLIGHT"):
            require_sign_in(settings_in(tmp_path, FLIGHTDECK_MLFLOW_ACCESS="open", **beyond))
    require_sign_in(open_to_all)


def test_only_airflow_gets_airflows_secrets(tmp_path):
    settings = settings_in(tmp_path)
    key = ensure_secrets(settings).jwt_secret
    assert key in airflow_environment(settings).values()
    assert key not in common_environment(settings).values()
    assert key not in mlflow_environment(settings).values()


def test_mlflow_loads_no_pickle_and_runs_no_jobs(tmp_path):
    environment = mlflow_environment(settings_in(tmp_path))
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_mlflow_answers_to_the_names_by_which_the_settings_call_it(tmp_path):
    alone = mlflow_environment(settings_in(tmp_path))
    assert "MLFLOW_SERVER_ALLOWED_HOSTS" not in alone
    beside = settings_in(
        tmp_path,
        FLIGHTDECK_MLFLOW_TRACKING_URI="http://mlflow:5000",
        FLIGHTDECK_MLFLOW_PUBLIC_URL="https://models.example.com/",
    )
    hosts = mlflow_environment(beside)["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"mlflow:5000", "models.example.com", "localhost:*", "127.0.0.1"} <= set(hosts)
    assert "*" not in hosts


def test_workers_and_browsers_may_find_airflow_at_different_addresses(tmp_path):
    settings = settings_in(
        tmp_path,
        FLIGHTDECK_HOST="0.0.0.0",
        FLIGHTDECK_AIRFLOW_URL="http://airflow-api-server:8080",
        FLIGHTDECK_AIRFLOW_PUBLIC_URL="https://airflow.example.com/",
    )
    environment = airflow_environment(settings)
    url = environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert url == "http://airflow-api-server:8080/execution/"
    assert environment["AIRFLOW__API__BASE_URL"] == "https://airflow.example.com"
    assert environment["AIRFLOW__API__HOST"] == "0.0.0.0"
    report = settings.report_address(str(settings.reports_dir / "a.html"))
    assert report == "https://airflow.example.com/flightdeck/reports/a.html"


def test_what_would_make_children_disagree_is_not_inherited(tmp_path):
    inherited = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "AIRFLOW__CORE__PARALLELISM": "32",
        "FLIGHTDECK_SAMPLE_SHARE": "0.5",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "intranet",
    }
    environment = process_environment(common_environment(settings_in(tmp_path)), inherited)
    assert environment["HOME"] == "/home/me"
    assert environment["PATH"].endswith(":/bin")
    assert environment["FLIGHTDECK_SAMPLE_SHARE"] == "1.0"
    assert environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    assert environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert not {"AIRFLOW__CORE__PARALLELISM", "PYTHONDONTWRITEBYTECODE"} & environment.keys()
