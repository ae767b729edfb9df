"""A home as an earlier version left it, which two commands bring forward at once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from cli.platform.environment import mlflow_file, process_environment
from cli.platform.preflight import migrate
from include.errors import PlatformError
from include.files import sqlite_url
from include.registry.client import connect
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.harness.databases import mlflow_at

FORMER = "3da73c924c2f"
"""The revision of MLflow 3.1's database."""
DONE = "Brought up to date: mlflow. "
USERS = {"admin": "a password of before", "releases": "another of before"}


@pytest.fixture
def former_home(tmp_path: Path) -> Settings:
    """What MLflow 3.1 and a platform without MLflow's sign-in wrote."""
    settings = load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_MLFLOW_ACCESS": "accounts"}
    )
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "passwords.json").write_text(json.dumps(USERS))
    mlflow_file(settings).parent.mkdir()
    with former_database(mlflow_file(settings)) as rows:
        rows(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
            " VALUES (1, 'parcels', 'mlflow-artifacts:/1', 'active')"
        )
        rows(
            "INSERT INTO runs (run_uuid, name, user_id, status, lifecycle_stage, experiment_id,"
            " start_time) VALUES ('r1', 'first', 'me', 'FINISHED', 'active', 1, 1700000000000)"
        )
        rows("INSERT INTO tags (key, value, run_uuid) VALUES ('flightdeck.digest', 'ab12', 'r1')")
        rows("INSERT INTO registered_models (name, creation_time) VALUES ('parcels', 1)")
        rows(
            "INSERT INTO model_versions (name, version, creation_time, current_stage, source,"
            " run_id, status) VALUES ('parcels', 1, 1, 'None', 'models:/m-1', 'r1', 'READY')"
        )
        rows("INSERT INTO registered_model_aliases VALUES ('champion', 1, 'parcels')")
    mlflow_file(settings).with_suffix(".migrated").write_text("3.1.4")
    return settings


@contextmanager
def former_database(path: Path) -> Iterator[object]:
    """A database of that revision, open for rows."""
    from alembic.command import upgrade
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.model_registry.dbmodels import models  # noqa: F401  # tables of the base
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine: Engine = create_sqlalchemy_engine(sqlite_url(path))
    Base.metadata.create_all(engine)
    upgrade(_get_alembic_config(sqlite_url(path)), FORMER)
    connection: Connection
    with engine.begin() as connection:
        yield lambda statement: connection.execute(text(statement))
    engine.dispose()


@pytest.mark.slow
def test_two_that_start_together_bring_an_older_home_forward_once(former_home: Settings) -> None:
    command = [sys.executable, "-m", "cli", "migrate", "mlflow"]
    variables = {
        "FLIGHTDECK_HOME": str(former_home.home),
        "FLIGHTDECK_MLFLOW_ACCESS": former_home.mlflow_access,
    }
    both = [
        subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=process_environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    texts = sorted(text for text, _ in outputs)
    assert texts == [f"{done}The databases are up to date.\n" for done in (DONE, "")]

    served = former_home.model_copy(
        update={"mlflow_tracking_uri": sqlite_url(mlflow_file(former_home))}
    )
    client = connect(served)
    champion = client.get_model_version_by_alias("parcels", "champion")
    assert client.get_run(champion.run_id).data.tags["flightdeck.digest"] == "ab12"
    passwords = former_home.account_passwords
    assert USERS.items() <= passwords.items()
    assert passwords.keys() >= former_home.mlflow_accounts.keys()


@pytest.mark.slow
def test_a_database_of_a_newer_mlflow_is_refused_with_what_to_do(tmp_path: Path) -> None:
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    mlflow_at(mlflow_file(settings))
    with closing(sqlite3.connect(mlflow_file(settings))) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'f00df00df00d'")
    with pytest.raises(PlatformError) as refused:
        migrate(settings, ["mlflow"])
    assert "Can't locate revision identified by 'f00df00df00d'" in str(refused.value)
    assert "A newer version of it wrote the database: use the version" in str(refused.value)
