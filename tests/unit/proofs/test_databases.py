"""A copied database is one that its program takes as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proofs.harness.databases import mlflow_at

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT name FROM sqlite_master")]


def test_mlflow_has_nothing_to_migrate_in_a_copy(tmp_path):
    from mlflow.store.db.utils import _verify_schema, create_sqlalchemy_engine

    address = mlflow_at(tmp_path / "folder" / "mlflow.db")
    engine = create_sqlalchemy_engine(address)
    _verify_schema(engine)
    engine.dispose()
    assert "registered_models" in tables(tmp_path / "folder" / "mlflow.db")


def test_a_database_that_is_there_stays_as_it_is(tmp_path):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (number INTEGER)")
    mlflow_at(path)
    assert tables(path) == ["mine"]
