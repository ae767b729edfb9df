"""docker/compose.production.yaml on top of docker/compose.yaml: production, with nothing left to a
default of a trial.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.application import invoke
from cli.images.secrets import WRITTEN, make, make_keys
from cli.platform.processes import service_of
from include.alarms.sinks import read_sinks
from include.errors import PlatformError, SettingsError
from include.settings import PREFIX, Settings, load_settings
from include.settings.contradictions import NEEDED_BY
from include.settings.environments import ENVIRONMENTS
from serving.contract.api_keys import ApiKeys
from tests.unit.cli.images.compose_files import CELERY, COMPOSE, FILE

PRODUCTION = FILE.with_name("compose.production.yaml")
USERS = "ann:admin,omar:op,rita:user"
HOME = "/var/flightdeck"


def composed(**variables: str) -> subprocess.CompletedProcess[str]:
    """What Compose makes of both files."""
    files = ["--file", FILE, "--file", PRODUCTION]
    return subprocess.run(
        [COMPOSE, *files, "config", "--format", "json"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables},
        check=False,
    )


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    done = composed(**CELERY, FLIGHTDECK_USERS=USERS)
    assert done.returncode == 0, done.stderr
    whole: dict[str, Any] = json.loads(done.stdout)
    return whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a production: what is made, and what people wrote."""
    folder = tmp_path_factory.mktemp("secrets")
    write_own(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTDECK_USERS", USERS)
        assert invoke(["compose-secrets", "--production", "--folder", str(folder)]) == 0
    return folder


def write_own(folder: Path) -> None:
    (folder / "alarms.toml").write_text('[owners]\naddress_file = "alarm-address"\n')
    (folder / "alarm-address").write_text("json://127.0.0.1:9/alarms\n")


def names_of(configuration: dict[str, Any]) -> list[str]:
    """The services of Flightdeck's own processes."""
    services = configuration["services"].items()
    return [name for name, one in services if (one["command"] or [""])[0] == "flightdeck"]


def variables_of(
    name: str, configuration: dict[str, Any], folder: Path, root: Path
) -> dict[str, str]:
    """A service's environment; what Compose mounts lies below `root` as in the container."""
    service = configuration["services"][name]
    for secret in service.get("secrets", []):
        source = folder / Path(configuration["secrets"][secret["source"]]["file"]).name
        target = root / secret["target"].lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    variables = {f"{PREFIX}HOME": HOME, f"{PREFIX}HOST": "0.0.0.0", **service["environment"]}
    return {
        key: str(root / value.lstrip("/")) if value.startswith("/") else value
        for key, value in variables.items()
        if value is not None
    }


def test_both_files_are_valid_and_every_service_of_ours_is_production(configuration):
    names = names_of(configuration)
    assert len(names) == 9
    for name in names:
        assert configuration["services"][name]["environment"]["FLIGHTDECK_ENV"] == "production"


def test_each_service_starts_as_production_with_what_it_reads(configuration, folder, tmp_path):
    for name in names_of(configuration):
        variables = variables_of(name, configuration, folder, tmp_path / name)
        settings = load_settings(variables)
        service = configuration["services"][name]
        if service["command"][1] == "component":
            assert settings.runs == {service_of(service["command"][2])}
        for field in ENVIRONMENTS["production"].required:
            value = getattr(settings, field)
            assert bool(value) == bool(settings.runs & NEEDED_BY[field]), (name, field)
            if isinstance(value, Path):
                assert value.is_file(), (name, field)
        assert settings.approval == "required"
        assert settings.mlflow_access == "accounts"
        if "airflow" in settings.runs or "mlflow" in settings.runs:
            assert {"ann", "omar", "rita"} <= settings.accounts.keys()
            assert "admin" not in settings.account_passwords
        looks(settings, (folder / "api-key").read_bytes())


def looks(settings: Settings, key: bytes) -> None:
    """What each service does with its files: the alarms have a receiver, callers are known."""
    if "airflow" in settings.runs:
        (sink,) = read_sinks(settings)
        assert sink.address() == "json://127.0.0.1:9/alarms"
    if "serving" in settings.runs:
        assert settings.api_keys_file is not None
        assert ApiKeys(settings.api_keys_file).check(key) == "platform"


@pytest.mark.parametrize(
    ("name", "variable", "message"),
    [
        ("airflow-scheduler", "USERS", "FLIGHTDECK_USERS is not set, and production"),
        ("airflow-scheduler", "API_KEY_FILE", "FLIGHTDECK_API_KEY_FILE is not set"),
        ("airflow-worker", "ALARM_SINKS", "FLIGHTDECK_ALARM_SINKS is not set"),
        ("airflow-triggerer", "AIRFLOW_ACCOUNTS_FILE", "ACCOUNTS_FILE is not set"),
        ("serving", "API_KEYS_FILE", "FLIGHTDECK_API_KEYS_FILE is not set"),
        ("ship", "MODELS_URI", "FLIGHTDECK_MODELS_URI leads to no place"),
        ("mlflow", "USERS", "FLIGHTDECK_USERS is not set, and production"),
    ],
)
def test_a_service_without_one_of_its_settings_is_refused_by_its_name(
    configuration, folder, tmp_path, name, variable, message
):
    variables = variables_of(name, configuration, folder, tmp_path)
    load_settings(variables)
    del variables[f"{PREFIX}{variable}"]
    with pytest.raises(SettingsError, match=message):
        load_settings(variables)


@pytest.mark.parametrize("name", ["migrate", "airflow-scheduler", "serving", "ship"])
def test_without_a_key_of_signatures_a_service_is_refused(configuration, folder, tmp_path, name):
    variables = variables_of(name, configuration, folder, tmp_path)
    for key in (tmp_path / "var/flightdeck/keys").iterdir():
        key.unlink()
    with pytest.raises(SettingsError, match="holds no key for the signatures of models"):
        load_settings(variables)


def test_without_people_compose_refuses_the_variable_by_its_name():
    done = composed()
    assert done.returncode != 0
    assert "FLIGHTDECK_USERS is missing a value: names people as name:role" in done.stderr


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_nobody_can_make_up_is_asked_for_by_its_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FLIGHTDECK_USERS", USERS)
    write_own(tmp_path)
    for broken in ("", None):
        (tmp_path / name).unlink() if broken is None else (tmp_path / name).write_text(broken)
        with pytest.raises(PlatformError, match=rf"{name} is missing or empty: it .*Write it"):
            invoke(["compose-secrets", "--production", "--folder", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} < WRITTEN.keys()


def test_people_of_a_trial_are_nobodys_in_production(tmp_path):
    write_own(tmp_path)
    with pytest.raises(PlatformError, match="FLIGHTDECK_USERS is not set: production has people"):
        invoke(["compose-secrets", "--production", "--folder", str(tmp_path)])


def test_every_file_that_compose_hands_over_is_there_and_only_its_folder_is_closed(
    configuration, folder
):
    files = {Path(about["file"]).name for about in configuration["secrets"].values()}
    assert {"api-key", "api-keys", *WRITTEN} <= files
    for name in files:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o444, name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_platforms_key_is_made_once_and_callers_stay(tmp_path):
    write_own(tmp_path)
    (tmp_path / "api-keys").write_text(f"shop {'0' * 64}\n")
    assert make_keys(tmp_path) == ["api-key", "api-keys"]
    key, keys = (tmp_path / "api-key").read_text(), (tmp_path / "api-keys").read_text()
    assert keys.splitlines()[0] == f"shop {'0' * 64}"
    assert keys.splitlines()[1] == f"platform {hashlib.sha256(key.encode()).hexdigest()}"
    assert make_keys(tmp_path) == []
    assert (tmp_path / "api-keys").read_text() == keys


def test_no_service_gets_a_file_that_it_does_not_read(configuration):
    for name in names_of(configuration):
        service = configuration["services"][name]
        read = {
            value.removeprefix("/run/secrets/")
            for value in service["environment"].values()
            if str(value).startswith("/run/secrets/")
        }
        handed = {secret["source"] for secret in service["secrets"]}
        beside = {"signing-key", "signing-public-key", "alarm-address"}
        assert handed - beside == read, name
    assert "api-key" not in {
        one["source"] for one in configuration["services"]["mlflow"]["secrets"]
    }


def test_a_home_of_a_trial_becomes_one_of_production(tmp_path, monkeypatch):
    make(tmp_path)
    write_own(tmp_path)
    database = (tmp_path / "airflow-database").read_text()
    monkeypatch.setenv("FLIGHTDECK_USERS", USERS)
    assert invoke(["compose-secrets", "--production", "--folder", str(tmp_path)]) == 0
    assert (tmp_path / "airflow-database").read_text() == database
    assert {"ann", "omar", "rita"} <= json.loads((tmp_path / "accounts.json").read_text()).keys()
