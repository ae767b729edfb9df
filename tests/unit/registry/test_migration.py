"""MLflow's stores by address; `tests/integration/test_stores.py` runs its server over them."""

from __future__ import annotations

import pytest

from include.errors import SettingsError
from include.registry import migration
from include.settings import load_settings


def test_a_database_that_is_away_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "postgresql+psycopg://me:planted-9c@127.0.0.1:1/mlflow"
    monkeypatch.setenv(migration.VARIABLE, address)
    assert migration.main() == 1
    text = capsys.readouterr().err
    assert "MLflow's database cannot be brought up to date: connection failed" in text
    assert "planted-9c" not in text


def test_an_address_that_is_none_is_refused() -> None:
    for name, value, message in (
        (
            "MLFLOW_DATABASE",
            "mysql://u:planted@h/d",
            "'mysql' is not known; valid is postgres",
        ),
        ("FEATURE_REGISTRY", "postgresql://h", "needs a host, a user and a database"),
        ("MLFLOW_ARTIFACTS", "/srv/files", "no address of object storage"),
    ):
        with pytest.raises(SettingsError, match=rf"FLIGHTDECK_{name} is .*{message}") as refused:
            load_settings({f"FLIGHTDECK_{name}": value})
        assert "planted" not in str(refused.value)
