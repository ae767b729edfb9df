"""Who may sign in to MLflow, and how the platform does."""

from __future__ import annotations

import json
import stat

import pytest

from include.errors import SettingsError
from include.registry.client import sign_in
from include.registry.server import (
    bring_accounts,
    stand_already,
    wanted_accounts,
    write_configuration,
)
from include.settings import load_settings

LONG = "a password that is long"


def settings_with(tmp_path, passwords=None, **variables):
    if passwords is not None:
        (tmp_path / "airflow").mkdir(exist_ok=True)
        (tmp_path / "airflow" / "passwords.json").write_text(json.dumps(passwords))
    return load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_USERS": "ann:admin,rita:user", **variables}
    )


def test_the_platform_signs_in_where_it_is_asked_and_tells_its_password_nobody_else(tmp_path):
    settings = settings_with(tmp_path, {"flightdeck": LONG})
    expected = {"MLFLOW_TRACKING_USERNAME": "flightdeck", "MLFLOW_TRACKING_PASSWORD": LONG}
    assert sign_in(settings) == expected
    assert sign_in(settings.model_copy(update={"mlflow_access": "open"})) == {}
    assert sign_in(settings.model_copy(update={"mlflow_tracking_uri": "sqlite:///a.db"})) == {}


def test_without_a_password_it_says_where_one_is_looked_for(tmp_path):
    with pytest.raises(SettingsError, match=r"passwords\.json holds no password of 'flightdeck'"):
        sign_in(settings_with(tmp_path))
    file = tmp_path / "accounts.json"
    named = settings_with(tmp_path, FLIGHTDECK_AIRFLOW_ACCOUNTS_FILE=str(file))
    with pytest.raises(SettingsError, match=r"accounts\.json.*cannot be read"):
        sign_in(named)
    file.write_text(json.dumps({"flightdeck": LONG}))
    assert sign_in(named)["MLFLOW_TRACKING_PASSWORD"] == LONG


def test_every_user_needs_a_password_that_mlflow_takes(tmp_path):
    passwords = {"ann": LONG, "rita": LONG, "flightdeck": LONG, "omar": LONG, "releases": LONG}
    accounts = wanted_accounts(settings_with(tmp_path, passwords))
    assert accounts == {"ann": (LONG, True), "rita": (LONG, False), "flightdeck": (LONG, True)}
    with pytest.raises(SettingsError, match="no password of rita, who sign in"):
        wanted_accounts(settings_with(tmp_path, {**passwords, "rita": ""}))
    with pytest.raises(SettingsError, match=r"password of rita .* fewer than 12") as refused:
        wanted_accounts(settings_with(tmp_path, {**passwords, "rita": "too short"}))
    assert "too short" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")
@pytest.mark.filterwarnings("ignore:No path_separator found")
def test_mlflows_users_are_those_of_the_settings_with_their_passwords_and_rights(
    tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path}/100%25.db"
    path = write_configuration(tmp_path, url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(path))
    from mlflow.server.auth.config import read_auth_config
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    configuration = read_auth_config()
    assert (configuration.database_uri, configuration.admin_password) == (url, None)
    assert (configuration.default_permission, configuration.admin_username) == (
        "READ",
        "flightdeck",
    )
    first = {"ann": (LONG, True), "rita": (LONG, False), "omar": (LONG, False)}
    assert not stand_already(url, first)
    bring_accounts(url, first)
    for other in ({"omar": (f"{LONG}er", False)}, {"omar": (LONG, True)}, {"oma": (LONG, False)}):
        assert not stand_already(url, {**first, **other})
    wanted = {"ann": (LONG, False), "rita": (f"{LONG}er", True)}
    assert not stand_already(url, wanted)
    bring_accounts(url, wanted)
    assert stand_already(url, wanted)
    store = SqlAlchemyStore()
    store.init_db(url)
    try:
        rights = {user.username: user.is_admin for user in store.list_users()}
        assert rights == {"ann": False, "rita": True}
        assert store.authenticate_user("ann", LONG)
        assert store.authenticate_user("rita", f"{LONG}er")
        assert not store.authenticate_user("rita", LONG)
        assert not store.authenticate_user("omar", LONG)
    finally:
        store.engine.dispose()
