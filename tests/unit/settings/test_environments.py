from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from cli.application import invoke
from cli.platform.environment import airflow_environment, passwords, user_of_commands
from cli.platform.preflight import require_executor
from cli.platform.processes import platform_processes
from cli.reference import VARIABLES
from dags.factories.deployment import require_approval
from include.alarms.store import AlarmStore
from include.errors import PlatformError, SettingsError, SpecError
from include.settings import PREFIX, PROJECT_ROOT, Settings, defaults, load_settings
from include.settings.contradictions import NO_SETTINGS
from include.settings.environments import ENVIRONMENTS
from include.spec import Release
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.alarms.samples import decayed
from tests.unit.settings.production import production

PLANTED = "planted-8f3c"  # a password that nobody may see
ADDRESS = f"postgresql://ledger:{PLANTED}@db/ledger"
BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
KWARGS = "AIRFLOW__SECRETS__BACKEND_KWARGS"


def test_the_environments_stand_side_by_side_and_every_value_is_a_setting():
    assert list(ENVIRONMENTS) == ["dev", "test", "staging", "production"]
    for name, environment in ENVIRONMENTS.items():
        settings = defaults(name)
        for field, value in environment.defaults().items():
            assert getattr(settings, field) == value
        assert set(environment.required) <= Settings.model_fields.keys()
    assert defaults("staging").sample_share < defaults("production").sample_share == 1
    assert defaults("staging").service_account != defaults("production").service_account


def test_production_starts_where_nothing_is_left_to_a_default(tmp_path):
    settings = load_settings(production(tmp_path))
    assert settings.approval == "required"
    assert settings.accounts == {"ann": "admin", "omar": "op", "rita": "user", "releases": "viewer"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"API_KEYS_FILE": None}, r"FLIGHTDECK_API_KEYS_FILE is not set.*answers whoever asks"),
        ({"API_KEY_FILE": None}, r"FLIGHTDECK_API_KEY_FILE is not set"),
        ({"USERS": None}, r"FLIGHTDECK_USERS is not set.*name:role"),
        ({"ALARM_SINKS": None}, r"FLIGHTDECK_ALARM_SINKS is not set.*told of alarms"),
    ],
)
def test_production_starts_on_no_default(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(production(tmp_path, **changes))


def test_production_loads_no_pickle(tmp_path):
    variables = {**production(tmp_path), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}
    with pytest.raises(SettingsError, match=r"PICKLE_DESERIALIZATION is 'true'.*no pickle"):
        load_settings(variables)
    load_settings({**variables, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"})
    load_settings({**variables, "FLIGHTDECK_ENV": "staging"})


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_mlflow_that_asks_nobody_is_no_others_than_a_persons_own(tmp_path, environment):
    variables = {**production(tmp_path), "FLIGHTDECK_ENV": environment}
    assert load_settings(variables).mlflow_access == "accounts"
    with pytest.raises(SettingsError, match=rf"MLFLOW_ACCESS is open, and {environment} lets"):
        load_settings({**variables, "FLIGHTDECK_MLFLOW_ACCESS": "open"})
    assert defaults("dev").mlflow_access == "accounts"
    load_settings({"FLIGHTDECK_ENV": "dev", "FLIGHTDECK_MLFLOW_ACCESS": "open"})


def test_admins_write_to_mlflow_and_no_user_is_called_like_the_platforms_account(tmp_path):
    settings = load_settings(production(tmp_path))
    expected = {"ann": True, "omar": False, "rita": False, "flightdeck": True}
    assert settings.mlflow_accounts == expected
    with pytest.raises(SettingsError, match="'flightdeck' is the account by which the platform"):
        load_settings({"FLIGHTDECK_USERS": "ann:admin,flightdeck:viewer"})


def test_production_makes_no_key_up_by_which_models_count_as_signed(tmp_path):
    variables = production(tmp_path)
    (tmp_path / "keys" / "signing.pub.pem").unlink()
    with pytest.raises(SettingsError, match=r"keys holds no key.*docs/environments\.md"):
        load_settings(variables)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("FLIGHTDECK_SAMPEL_SHARE", r"no setting.*Did you mean FLIGHTDECK_SAMPLE_SHARE\?.*choose"),
        ("FLIGHTDECK_LEDGER_URI", r"Did you mean FLIGHTDECK_LEDGER_URL\?"),
        ("FLIGHTDECK_XYZZY", r"FLIGHTDECK_XYZZY is no setting of Flightdeck\. Unset it"),
        ("FLIGHTDECK_HOME_FILE", r"FLIGHTDECK_HOME_FILE is no setting"),
        ("FLIGHTDECK_HOME_SECRET", r"FLIGHTDECK_HOME_SECRET is no setting"),
    ],
)
def test_a_variable_that_nothing_reads_is_refused_with_those_that_count(variable, message):
    with pytest.raises(SettingsError, match=message):
        load_settings({variable: "0.5"})


def test_variables_that_are_read_elsewhere_are_the_ones_of_the_reference():
    secret = {name.upper() for name, field in Settings.model_fields.items() if not field.repr}
    read = {f"{PREFIX}{name}" for name in NO_SETTINGS - {"ENV"}}
    listed = {variable.name for variable in VARIABLES}
    suffixes = ("_FILE", "_SECRET")
    assert listed == read | {f"{PREFIX}{name}{suffix}" for name in secret for suffix in suffixes}
    load_settings(dict.fromkeys(read, "x"))


def test_an_environment_that_is_not_there_is_refused_with_those_that_are():
    message = r"FLIGHTDECK_ENV is 'prodcution'; valid: dev, .*Did you mean 'production'\?"
    with pytest.raises(SettingsError, match=message):
        load_settings({"FLIGHTDECK_ENV": "prodcution"})


@pytest.mark.parametrize("users", ["ann", "ann:root", ":op", "a b:op", "ann:op,:user"])
def test_a_user_without_a_role_is_refused_with_the_roles(users):
    with pytest.raises(SettingsError, match=r"FLIGHTDECK_USERS .*viewer, user, op, admin"):
        load_settings({"FLIGHTDECK_USERS": users})


def test_airflow_gets_the_users_and_a_password_for_each_that_stays(tmp_path):
    trial = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    before = passwords(trial)
    assert user_of_commands(trial) == "engineer"
    settings = load_settings(production(tmp_path))
    after = passwords(settings)
    assert {"ann", "omar", "rita"} <= after.keys()
    assert after["releases"] == before["releases"]
    listed = airflow_environment(settings)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert listed == "ann:admin,omar:op,rita:user,releases:viewer"
    assert user_of_commands(settings) == "omar"
    with pytest.raises(PlatformError, match="FLIGHTDECK_USERS names nobody of the role op"):
        user_of_commands(load_settings(production(tmp_path, USERS="rita:user")))


def test_a_use_case_whose_releases_nobody_approves_does_not_go_into_production(tmp_path):
    settings = load_settings(production(tmp_path))
    alone = USE_CASE.model_copy(update={"release": Release(approval="none")})
    with pytest.raises(SpecError, match=r"release: approval is 'none'.*FLIGHTDECK_APPROVAL"):
        require_approval(alone, settings)
    approved = Release(approval="all", approvers=("rita",))
    require_approval(USE_CASE.model_copy(update={"release": approved}), settings)
    require_approval(alone, defaults("staging"))


def test_the_executor_is_airflows_and_one_machine_has_its_own(tmp_path):
    variables = {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_EXECUTOR": "kubernetes"}
    settings = load_settings(variables)
    assert airflow_environment(settings)["AIRFLOW__CORE__EXECUTOR"].endswith("KubernetesExecutor")
    with pytest.raises(PlatformError, match="FLIGHTDECK_EXECUTOR is kubernetes"):
        require_executor(settings)
    require_executor(defaults("dev"))


def test_a_secret_is_read_from_the_file_that_its_variable_names(tmp_path):
    path = tmp_path / "ledger"
    path.write_text(f"{ADDRESS}\n")
    variables = {"FLIGHTDECK_LEDGER_URL_FILE": str(path)}
    assert load_settings(variables).ledger_url == ADDRESS
    both = {**variables, "FLIGHTDECK_LEDGER_URL": ADDRESS}
    for wrong, message in (
        (both, "are both set"),
        ({"FLIGHTDECK_LEDGER_URL_FILE": str(tmp_path / "absent")}, "No such file"),
    ):
        with pytest.raises(SettingsError, match=message) as refused:
            load_settings(wrong)
        assert PLANTED not in str(refused.value)
    path.write_text(f"ledger:{PLANTED}")
    with pytest.raises(SettingsError, match="FLIGHTDECK_LEDGER_URL") as refused:
        load_settings(variables)
    assert PLANTED not in str(refused.value)


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """A secrets backend of Airflow that has the planted address."""
    path = tmp_path / "configurations.json"
    path.write_text(json.dumps({"ledger-url": f" {ADDRESS}\n", "odd": f"ledger:{PLANTED}"}))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", BACKEND)
    monkeypatch.setenv(KWARGS, json.dumps({"configs_file_path": str(path)}))
    return path


def test_a_secret_is_read_from_airflows_secrets_backend(backend):
    assert load_settings({"FLIGHTDECK_LEDGER_URL_SECRET": "ledger-url"}).ledger_url == ADDRESS


def test_a_secret_that_airflows_backend_cannot_give_is_refused_and_nothing_is_shown(
    backend, tmp_path, monkeypatch
):
    by_name = {"FLIGHTDECK_LEDGER_URL_SECRET": "ledger-url"}

    def refused(variables, message):
        with pytest.raises(SettingsError, match=message) as caught:
            load_settings(variables)
        assert PLANTED not in str(caught.value)

    refused({**by_name, "FLIGHTDECK_LEDGER_URL": ADDRESS}, r"URL and .*_SECRET are both set")
    three = {"FLIGHTDECK_LEDGER_URL": ADDRESS, "FLIGHTDECK_LEDGER_URL_FILE": str(backend)}
    refused({**by_name, **three}, "are all set")
    refused({"FLIGHTDECK_LEDGER_URL_SECRET": "ledger"}, r"_SECRET is 'ledger'.* no configuration")
    refused({"FLIGHTDECK_LEDGER_URL_SECRET": "odd"}, r"FLIGHTDECK_LEDGER_URL is '\*\*\*'")
    monkeypatch.setenv(KWARGS, json.dumps({"configs_file_path": str(tmp_path / PLANTED)}))
    refused(by_name, r"LocalFilesystemBackend fails \(\w+\): see that it is reached, and that")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "hashicorp.Vault")
    refused(by_name, r"secrets backend hashicorp\.Vault fails")
    monkeypatch.delenv("AIRFLOW__SECRETS__BACKEND")
    refused(by_name, r"no secrets backend that could be asked: set AIRFLOW__SECRETS__BACKEND and")


def test_a_command_opens_the_database_whose_address_the_backend_has(
    backend, tmp_path, monkeypatch, capfd
):
    database = tmp_path / "planted-8f3c.db"
    backend.write_text(json.dumps({"ledger-url": f"sqlite:///{database}"}))
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLIGHTDECK_LEDGER_URL_SECRET", "ledger-url")
    AlarmStore(load_settings({"FLIGHTDECK_LEDGER_URL": f"sqlite:///{database}"})).signal(decayed(0))
    assert invoke(["alarms", "list"]) == 0
    shown = capfd.readouterr()
    assert "AUC is 0.6 on day 0" in shown.out
    assert PLANTED not in shown.out + shown.err
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not [path for path in files if PLANTED.encode() in path.read_bytes()]


def test_where_there_is_no_airflow_its_backend_is_not_asked(monkeypatch):
    """As in the images of the endpoint and of MLflow."""
    monkeypatch.setitem(sys.modules, "airflow.configuration", None)
    message = r"no Airflow here.*Hand the setting over as FLIGHTDECK_ONLINE_STORE_FILE"
    with pytest.raises(SettingsError, match=message):
        load_settings({"FLIGHTDECK_ONLINE_STORE_SECRET": "of nobody else"})


def test_airflow_is_imported_where_a_setting_names_a_secret_of_it_and_nowhere_else():
    code = "import sys, include.settings as s; s.load_settings(); print('airflow' in sys.modules)"
    command = [sys.executable, "-P", "-c", code]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_airflows_processes_have_its_backend_and_nobody_else_has(backend, tmp_path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    holders = {
        process.name for process in platform_processes(settings) if KWARGS in process.environment
    }
    assert holders
    assert all(name.startswith("airflow-") for name in holders)
    assert {"airflow-scheduler", "airflow-triggerer"} <= holders


@pytest.mark.parametrize("how", ["variable", "file", "backend"])
def test_a_secret_stands_in_no_command_and_no_text_about_the_settings(tmp_path, backend, how):
    path = tmp_path / "ledger"
    path.write_text(ADDRESS)
    reference = {
        "variable": {"FLIGHTDECK_LEDGER_URL": ADDRESS},
        "file": {"FLIGHTDECK_LEDGER_URL_FILE": str(path)},
        "backend": {"FLIGHTDECK_LEDGER_URL_SECRET": "ledger-url"},
    }
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path), **reference[how]})
    assert PLANTED not in f"{settings!r} {settings}"
    processes = platform_processes(settings)
    assert PLANTED not in json.dumps([process.command for process in processes])
    holding = [process for process in processes if PLANTED in str(process.environment)]
    assert holding, "a process gets it, by its environment alone"


def test_every_environment_and_its_required_settings_stand_in_the_page():
    page = (PROJECT_ROOT / "docs" / "environments.md").read_text()
    rows = dict(re.findall(r"^\| `?([\w ]+?)`? \| (.+) \|$", page, re.MULTILINE))
    shown = (
        "services",
        "sample_share",
        "target",
        "executor",
        "approval",
        "service_account",
        "mlflow_access",
    )
    for field in shown:
        cells = [cell.strip("` ") for cell in rows[field].split("|")]
        values = [getattr(environment, field) for environment in ENVIRONMENTS.values()]
        assert cells == [
            f"{value:g}" if isinstance(value, float) else str(value) for value in values
        ]
    for environment in ENVIRONMENTS.values():
        for field in environment.required:
            assert f"`{PREFIX}{field.upper()}`" in page
