"""The home of a copy of the project, and its endpoint, for who writes it and who reads it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from include.alarms.store import AlarmStore
from include.catalogue import load_use_case
from include.errors import PlatformError
from include.experiments.models import models
from include.files import sqlite_url
from include.registry.client import connect
from include.release.ledger import Ledger
from include.settings import Settings
from include.tables.store import TableStore
from proofs.harness.endpoint import POLL_SECONDS, START_SECONDS, Endpoint
from proofs.harness.home import enter_home
from proofs.harness.ports import free_port

OWN_TABLES = ("inference_log", "feedback", "predictions", "monitoring")


def enter(home: Path, **variables: object) -> None:
    """Make this process one of the home, with MLflow's database where the platform has it."""
    tracking = sqlite_url(home / "mlflow" / "mlflow.db")
    own = {"SERVING_PORT": free_port(), "GRPC_PORT": 0, "MLFLOW_TRACKING_URI": tracking}
    enter_home(home, **own, **variables)


def records(settings: Settings, name: str) -> dict[str, Any]:
    """What the home says of its past, as JSON: rows of tables, of the ledger, of alarms, of MLflow
    and of Airflow.
    """
    tables, client = TableStore(settings.tables_uri), connect(settings)
    views = [table.table for table in load_use_case(name).feature_tables]
    kept = [*views, *(f"{name}/{part}" for part in OWN_TABLES)]
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    alarms = AlarmStore(settings).alarms(use_case=name)
    return {
        "tables": {table: tables.read(table).height for table in kept},
        "ledger": [
            [row.number, row.event, row.version, row.hash] for row in Ledger(settings).rows()
        ],
        "alarms": [[alarm.number, alarm.key.kind, alarm.state] for alarm in alarms],
        "models": models(settings),
        "trainings": sorted([run.info.run_id, run.info.status] for run in runs),
        "dag_runs": _dag_runs(settings),
    }


def _dag_runs(settings: Settings) -> list[list[str]]:
    with closing(sqlite3.connect(settings.home / "airflow" / "airflow.db")) as database:
        runs = database.execute("SELECT dag_id, run_id, state FROM dag_run ORDER BY id")
        return [list(run) for run in runs]


def answer(endpoint: Endpoint, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the endpoint answers."""
    answers = endpoint.client.post(f"/v1/models/{name}/predict", json={"rows": rows})
    answers.raise_for_status()
    document: dict[str, Any] = answers.json()
    return document


def until_version(endpoint: Endpoint, name: str, version: int) -> None:
    """Wait until the version serves, and the features are there that it reads."""
    deadline = time.monotonic() + START_SECONDS
    while (serving := _serving(endpoint, name)) != version:
        if time.monotonic() > deadline:
            raise PlatformError(f"version {serving} serves, not {version}: {endpoint.tail()}")
        time.sleep(POLL_SECONDS)


def _serving(endpoint: Endpoint, name: str) -> int | None:
    models = endpoint.client.get("/v1/models").json()["models"]
    model = next(model for model in models if model["use_case"] == name)
    return model["version"] if model["features_ready"] else None
