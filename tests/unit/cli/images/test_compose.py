"""docker/compose.yaml: valid, and what holds of every service whatever it runs."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli.application import invoke
from cli.images.secrets import contents, make
from cli.platform.environment import process_environment
from cli.platform.processes import component, component_names
from cli.workers import health
from include.errors import SettingsError
from include.registry.server import leave_out_files, wanted_accounts
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.containers.bases import STANDINS, VARIABLES
from tests.unit.cli.images.compose_files import CELERY, COMPOSE, FILE

OWN = re.compile(r"flightdeck/(airflow|mlflow|serving):\d+\.\d+\.\d+(\.dev0)?")
BY_DIGEST = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
ONCE = {"bucket", "migrate"}
HOME = Path("/var/flightdeck")


def configured(**variables: str) -> dict[str, Any]:
    """What Compose makes of the file."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    done = subprocess.run(
        [COMPOSE, "--file", FILE, "config", "--format", "json"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole: dict[str, Any] = json.loads(done.stdout)
    return whole


CONFIGURATION = configured(**CELERY)
SERVICES: dict[str, dict[str, Any]] = CONFIGURATION["services"]
FLIGHTDECKS = {
    name: one for name, one in SERVICES.items() if (one["command"] or [""])[0] == "flightdeck"
}


def test_compose_bites(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text("services: {a: {image: b, healthchek: {}}}")
    done = subprocess.run([COMPOSE, "-f", wrong, "config", "-q"], capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_no_more_than_it_must(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    # The images of Flightdeck name their user themselves (test_dockerfile.py).
    assert OWN.fullmatch(service["image"]) or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not [one for one in service.get("volumes", []) if one["type"] == "bind"]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_ours_or_pinned_by_digest(name):
    image = SERVICES[name]["image"]
    assert OWN.fullmatch(image) or BY_DIGEST.fullmatch(image), image


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_seen_to_be_well_and_started_again(name):
    service = SERVICES[name]
    if name in ONCE:
        assert (service["restart"], service["healthcheck"]) == ("no", {"disable": True})
        return
    assert service["restart"] == "unless-stopped"
    # The image's own check is that of its server; the other processes of Airflow have no server.
    assert "healthcheck" in service or name in ("airflow-api-server", "mlflow", "serving")


def test_services_wait_for_what_they_need():
    conditions = {
        (name, other): what["condition"]
        for name, service in SERVICES.items()
        for other, what in service.get("depends_on", {}).items()
    }
    assert {key: value for key, value in conditions.items() if key[1] not in ONCE} == {
        key: "service_healthy" for key in conditions if key[1] not in ONCE
    }
    assert {conditions[key] for key in conditions if key[1] in ONCE} == {
        "service_completed_successfully"
    }


def test_nothing_listens_beyond_this_machine_by_default():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(port["published"] for port in published) == ["3000", "3001", "5000", "8080"]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    open_to_all = configured(BIND_ADDRESS="0.0.0.0")["services"]["proxy"]["ports"]
    assert {port["host_ip"] for port in open_to_all} == {"0.0.0.0"}


def test_every_process_of_the_platform_runs_and_the_endpoint_twice():
    commands = [one["command"] for one in FLIGHTDECKS.values()]
    components = {command[2] for command in commands if command[1] == "component"}
    assert components == set(component_names())
    assert SERVICES["serving"]["deploy"]["replicas"] == 2
    assert SERVICES["airflow-worker"]["deploy"]["replicas"] == 2


def test_tasks_are_processes_of_the_scheduler_unless_workers_are_asked_for(tmp_path):
    plain = configured()["services"]
    assert SERVICES.keys() - plain.keys() == {"airflow-worker", "broker"}
    make(tmp_path)
    executors = {
        settings_of(name, tmp_path, services).executor
        for services in (plain, SERVICES)
        for name in ("airflow-scheduler", "airflow-api-server")
    }
    assert executors == {"local", "celery"}
    assert settings_of("airflow-scheduler", tmp_path, plain).executor == "local"
    recipe = (PROJECT_ROOT / "Makefile").read_text()
    assert "FLIGHTDECK_EXECUTOR=$(EXECUTOR) COMPOSE_PROFILES=$(EXECUTOR)" in recipe


def test_the_queue_is_airflows_alone_and_workers_are_asked_through_it(tmp_path):
    readers = {
        name
        for name, service in SERVICES.items()
        if {"broker-url", "broker-password"} & {one["source"] for one in service.get("secrets", [])}
    }
    airflows = {name for name in SERVICES if name.startswith("airflow-")}
    assert readers == {*airflows, "broker", "migrate"}
    make(tmp_path)
    worker = settings_of("airflow-worker", tmp_path)
    assert urlsplit(str(worker.broker_url)).hostname == "broker"
    # The endpoints know the password of the online store.
    assert urlsplit(str(worker.broker_url)).password != urlsplit(str(worker.online_store)).password
    test = SERVICES["airflow-worker"]["healthcheck"]["test"]
    assert test == ["CMD", "python", "-P", "-m", health.__name__]


def test_an_environment_has_its_own_users_and_share_unless_the_caller_says_others(tmp_path):
    make(tmp_path)
    services = configured(FLIGHTDECK_ENV="staging")["services"]
    staging = load_settings({"FLIGHTDECK_ENV": "staging"})
    for name in ("airflow-api-server", "mlflow"):
        assert settings_of(name, tmp_path, services).users == staging.users
    assert settings_of("airflow-scheduler", tmp_path, services).sample_share < 1
    assert settings_of("serving", tmp_path, services).sample_share == staging.sample_share
    chosen = {"FLIGHTDECK_USERS": "ann:admin", "FLIGHTDECK_SAMPLE_SHARE": "0.3"}
    services = configured(FLIGHTDECK_ENV="staging", **chosen)["services"]
    for name in ("airflow-api-server", "mlflow", "migrate"):
        assert settings_of(name, tmp_path, services).users == "ann:admin"
    assert settings_of("airflow-scheduler", tmp_path, services).sample_share == 0.3


def test_production_starts_on_none_of_the_defaults_of_compose(tmp_path):
    make(tmp_path)
    services = configured(FLIGHTDECK_ENV="production")["services"]
    with pytest.raises(SettingsError, match="FLIGHTDECK_USERS is not set, and production"):
        settings_of("airflow-scheduler", tmp_path, services)


def test_a_user_who_is_added_gets_a_password_and_the_others_keep_theirs(tmp_path, monkeypatch):
    make(tmp_path)
    before = json.loads((tmp_path / "accounts.json").read_text())
    monkeypatch.setenv("FLIGHTDECK_USERS", "ann:admin,admin:admin")
    assert make(tmp_path) == ["accounts.json"]
    after = json.loads((tmp_path / "accounts.json").read_text())
    assert after.keys() - before.keys() == {"ann"}
    assert {name: after[name] for name in before} == before
    assert stat.S_IMODE((tmp_path / "accounts.json").stat().st_mode) == 0o444


def test_secrets_of_an_older_version_are_completed(tmp_path):
    make(tmp_path)
    passwords = json.loads((tmp_path / "passwords.json").read_text())
    older = {name: value for name, value in passwords.items() if name != "broker"}
    (tmp_path / "passwords.json").write_text(json.dumps(older))
    files = ["broker-url", "broker-password", "broker.conf"]
    for name in files:
        (tmp_path / name).unlink()
    assert make(tmp_path) == files
    again = json.loads((tmp_path / "passwords.json").read_text())
    assert {name: again[name] for name in older} == older
    assert again["broker"] in (tmp_path / "broker-url").read_text()


def settings_of(
    name: str, folder: Path, services: dict[str, dict[str, Any]] = SERVICES
) -> Settings:
    """What a service's environment makes of the settings, its secrets read from `folder`."""
    files = {secret: Path(about["file"]).name for secret, about in CONFIGURATION["secrets"].items()}
    variables = {"FLIGHTDECK_HOME": str(HOME), "FLIGHTDECK_HOST": "0.0.0.0"}
    for key, value in services[name]["environment"].items():
        if value is None:
            continue
        secret = value.removeprefix("/run/secrets/")
        variables[key] = str(folder / files[secret]) if secret != value else value
    return load_settings(variables)


@pytest.mark.parametrize("name", FLIGHTDECKS)
def test_a_service_starts_on_valid_settings_that_lead_to_its_neighbours(name, tmp_path):
    make(tmp_path)
    settings = settings_of(name, tmp_path)
    addresses = [settings.mlflow_tracking_uri]
    if name != "mlflow":
        addresses += [settings.airflow_url, settings.serving_url]
        addresses += [str(settings.ledger_url), str(settings.online_store)]
    if name == "mlflow":
        addresses.append(str(settings.mlflow_database))
    else:
        addresses.append(str(settings.feature_registry))
        assert settings.models_uri == "s3://flightdeck/models"
    assert {urlsplit(address).hostname for address in addresses} <= SERVICES.keys()
    assert settings.home == HOME


@pytest.mark.parametrize("name", FLIGHTDECKS)
def test_a_service_is_handed_the_secrets_that_it_reads_and_no_others(name):
    read = {
        value.removeprefix("/run/secrets/")
        for value in SERVICES[name]["environment"].values()
        if str(value).startswith("/run/secrets/")
    }
    handed = {secret["source"] for secret in SERVICES[name].get("secrets", [])}
    assert handed - {"signing-key", "signing-public-key"} == read


def test_only_who_trains_can_sign_models_and_endpoints_check_them():
    handed = {
        name: {secret["source"] for secret in service.get("secrets", [])} & {"signing-key"}
        for name, service in SERVICES.items()
    }
    assert {name for name, keys in handed.items() if keys} == {
        name for name in SERVICES if name.startswith("airflow-")
    }
    for name in ("serving", "ship", "airflow-scheduler"):
        targets = [secret.get("target") for secret in SERVICES[name]["secrets"]]
        assert "/var/flightdeck/keys/signing.pub.pem" in targets


def test_links_lead_to_the_published_ports(tmp_path):
    make(tmp_path)
    settings = settings_of("airflow-scheduler", tmp_path)
    assert settings.airflow_page == "http://127.0.0.1:8080"
    moved = configured(AIRFLOW_PORT="18080")["services"]["airflow-scheduler"]["environment"]
    assert moved["FLIGHTDECK_AIRFLOW_PUBLIC_URL"] == "http://127.0.0.1:18080"


def test_airflow_is_configured_by_the_code_of_up(tmp_path):
    assert not [key for key in SERVICES["airflow-scheduler"]["environment"] if "AIRFLOW__" in key]
    make(tmp_path)
    variables = SERVICES["airflow-scheduler"]["environment"]
    settings = settings_of("airflow-scheduler", tmp_path).model_copy(update={"home": tmp_path})
    environment = component(settings, "airflow-scheduler").environment
    expected = f"{variables['FLIGHTDECK_AIRFLOW_URL']}/execution/"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == expected
    assert "@postgres:5432/airflow" in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_secrets_are_made_once_and_their_folder_is_closed(tmp_path, capsys):
    folder = tmp_path / "compose"
    invoke(["compose-secrets", "--folder", str(folder)])
    first = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    invoke(["compose-secrets", "--folder", str(folder)])
    again = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert again == first
    named = {Path(about["file"]).name for about in CONFIGURATION["secrets"].values()}
    assert named <= first.keys()
    assert "All secrets are there" in capsys.readouterr().out


def test_each_database_has_a_password_of_its_own_and_is_closed_to_the_others(tmp_path):
    make(tmp_path)
    passwords = json.loads((tmp_path / "passwords.json").read_text())
    assert len(set(passwords.values())) == len(passwords) >= 7
    statements = contents(passwords)["databases.sql"]
    assert statements.count("REVOKE ALL ON DATABASE") == statements.count("CREATE DATABASE") == 3


def test_mlflow_lets_in_who_has_a_password_of_airflow_and_endpoints_see_none(tmp_path):
    make(tmp_path)
    settings = settings_of("mlflow", tmp_path)
    assert wanted_accounts(settings).keys() == settings.mlflow_accounts.keys()
    for name in ("migrate", "airflow-scheduler", "mlflow"):
        assert settings_of(name, tmp_path).account_passwords == settings.account_passwords
        assert settings_of(name, tmp_path).mlflow_access == "accounts"
    assert "FLIGHTDECK_AIRFLOW_ACCOUNTS_FILE" not in SERVICES["serving"]["environment"]


def test_mlflows_server_reads_its_settings_where_keys_are_files(tmp_path, monkeypatch):
    """MLflow itself knows no files of keys: they are in the server's variables as well."""
    make(tmp_path)
    for variable, value in SERVICES["mlflow"]["environment"].items():
        if variable.startswith("AWS_"):
            monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))
    settings = settings_of("mlflow", tmp_path).model_copy(update={"home": tmp_path / "home"})
    variables = process_environment(component(settings, "mlflow").environment)
    secret = (tmp_path / "object-storage-secret").read_text()
    with pytest.raises(SettingsError, match="AWS_SECRET_ACCESS_KEY_FILE are both set"):
        load_settings(variables)
    leave_out_files(variables)
    assert variables["AWS_SECRET_ACCESS_KEY"] == secret
    assert load_settings(variables).mlflow_artifacts == "s3://flightdeck/mlflow"


def test_no_password_stands_in_the_file():
    text = json.dumps(SERVICES)
    assert not re.search(r"(postgresql|redis)://[^\"]*:[^\"]*@", text)
    assert not re.search(r'"(POSTGRES_PASSWORD|AWS_SECRET_ACCESS_KEY)"', text)


def test_every_image_of_others_has_a_stand_in_where_no_registry_is_reached():
    """`make test-docker` replaces them by images of Debian's packages."""
    variables = set(re.findall(r"\$\{([A-Z]+_IMAGE):-", FILE.read_text()))
    assert variables == set(VARIABLES.values())
    stages = re.findall(r" AS (\w+)$", (STANDINS / "Dockerfile").read_text(), re.MULTILINE)
    assert set(VARIABLES) <= set(stages)


def test_a_request_that_was_cut_off_is_repeated_only_under_an_id():
    """The endpoint answers twice with the same under one id alone (docs/serving-operations.md)."""
    proxy = (FILE.parent / "haproxy.cfg").read_text()
    http = proxy.partition("\nbackend replicas\n")[2].partition("\nbackend ")[0]
    others = proxy.replace(http, "")
    assert "retry-on conn-failure 502 503 empty-response response-timeout" in http
    assert "http-request disable-l7-retry unless { req.hdr(X-Request-Id) -m found }" in http
    assert re.findall(r"retry-on (.+)", others) == ["conn-failure 502 503"]
