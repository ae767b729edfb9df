"""The loop over servers: tables, packages and MLflow's files in object storage, MLflow, ledger and
Feast's registry in PostgreSQL, features in a Redis, and the endpoint on a host that `flightdeck up`
starts with nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from sqlalchemy import create_engine, inspect

from cli.demo.traffic import requests_of_hour
from cli.platform.environment import mlflow_environment, process_environment
from cli.platform.leftovers import find_leftovers
from cli.platform.supervision import process_states
from include.files import write
from include.model.signing import ensure_keys, public_key
from include.object_storage import ObjectStore
from include.registry import versions
from include.release.ledger import Ledger
from include.settings import PREFIX, PROJECT_ROOT, Settings, load_settings
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.endpoint import Endpoint
from proofs.harness.object_store import SECRET, ObjectStoreServer
from proofs.harness.ports import free_ports
from proofs.harness.store_servers import PASSWORD, PostgresServer, RedisServer
from proofs.harness.tracking import TrackingServer
from tests.integration.dag_runs import month, run_dag
from tests.processes import command_of

pytestmark = [pytest.mark.slow]
LOCAL = ("tables", "ledger/releases.db", "feast/registry.db", "feast/online.db", "mlflow/mlflow.db")
"""What a home holds where no store has an address."""


@dataclass
class Servers:
    """The host that releases, and the endpoint of another one."""

    settings: Settings
    endpoint: Endpoint


@pytest.fixture(scope="module")
def servers(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        pytest.MonkeyPatch.context() as patch,
        ObjectStoreServer() as storage,
        PostgresServer() as database,
        RedisServer() as features,
    ):
        mlflow_port, serving_port = free_ports(2)
        tracking = f"http://127.0.0.1:{mlflow_port}"
        secret = folder / "secret"
        secret.write_text(SECRET)
        settings = {
            "HOME": folder / "releasing",
            "TABLES_URI": f"{storage.url}/tables",
            "MODELS_URI": f"{storage.url}/models",
            "MLFLOW_ARTIFACTS": f"{storage.url}/mlflow",
            "REPORTS_URI": f"{storage.url}/reports",
            "MLFLOW_DATABASE": database.url,
            "LEDGER_URL": database.url,
            "FEATURE_REGISTRY": database.url,
            "ONLINE_STORE": features.url,
            "MLFLOW_PORT": mlflow_port,
            "MLFLOW_TRACKING_URI": tracking,
            "SERVING_PORT": serving_port,
            "SERVING_URL": f"http://127.0.0.1:{serving_port}",
        }
        variables = {
            **storage.variables,
            **{f"{PREFIX}{name}": str(value) for name, value in settings.items()},
            "AWS_SECRET_ACCESS_KEY_FILE": str(secret),
            "MLFLOW_TRACKING_URI": tracking,
        }
        del variables["AWS_SECRET_ACCESS_KEY"]
        for name, value in variables.items():
            patch.setenv(name, value)
        releasing = load_settings()
        migrate_twice(releasing)
        server = TrackingServer(releasing)
        try:
            server.start()
            with answering(folder / "far", releasing) as endpoint:
                yield Servers(releasing, endpoint)
        finally:
            server.kill()


@contextmanager
def answering(home: Path, releasing: Settings) -> Iterator[Endpoint]:
    """A host that shares addresses alone, with the public half of the key, and runs the endpoint
    and nothing else.
    """
    ensure_keys(releasing)
    write(home / "keys" / "signing.pub.pem", public_key(releasing).read_bytes())
    settings = load_settings(variables_of(home))
    with ExitStack() as stack:
        started = flightdeck("up", home)
        stack.callback(flightdeck, "down", home)
        assert started.returncode == 0, started.stdout + started.stderr
        endpoint = Endpoint(settings, port=settings.serving_port)
        stack.callback(endpoint.client.close)
        yield endpoint
    assert find_leftovers(settings) == []


def variables_of(home: Path) -> dict[str, str]:
    """The environment of the endpoint's host."""
    others = {name: value for name, value in os.environ.items() if name != f"{PREFIX}MLFLOW_PORT"}
    chosen = {"HOME": str(home), "SERVICES": "serving", "GRPC_PORT": "0"}
    return {**others, **{f"{PREFIX}{name}": value for name, value in chosen.items()}}


def flightdeck(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A command on the endpoint's host."""
    return subprocess.run(
        [sys.executable, "-m", "cli", command],
        cwd=PROJECT_ROOT,
        env=variables_of(home),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def migrate_twice(settings: Settings) -> None:
    """As two hosts that start at once would."""
    command = [sys.executable, "-m", "include.registry.migration"]
    environment = process_environment(mlflow_environment(settings))
    both = [subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment) for _ in range(2)]
    assert [migration.wait(600) for migration in both] == [0, 0]


def test_the_loop_runs_over_servers_and_leaves_nothing_on_the_disk_of_a_host(
    servers: Servers,
) -> None:
    settings, endpoint = servers.settings, servers.endpoint
    runs = [run_dag("flight_delays__features", month(number)) for number in (2, 3, 4)]
    request = {"until": "2013-04-01", "reason": "first champion", "trials": 1}
    runs.append(run_dag("flight_delays__training", None, request))
    runs.append(run_dag("flight_delays__deployment", None, {"reason": "first champion"}))
    runs.append(run_dag("flight_delays__batch_scoring", month(4)))
    assert [run.state for run in runs] == ["success"] * 6, [run.note for run in runs]

    tables = TableStore(settings.tables_uri)
    assert tables.read("raw/flights").height > 0
    assert tables.read("flight_delays/predictions").height > 0
    champion = versions.champion(settings, USE_CASE)
    assert champion is not None
    assert endpoint.model()["version"] == champion.version
    traffic = Ledger(settings).in_service(USE_CASE.name)
    assert traffic is not None
    assert traffic.champion is not None
    assert traffic.champion.digest == champion.digest
    assert ObjectStore(f"{settings.mlflow_artifacts}").tags()
    shared = ObjectStore(f"{settings.reports_uri}").tags()
    assert {"index.html", "validation.json"} <= {name.rpartition("/")[2] for name in shared}
    assert endpoint.client.get("/readyz").status_code == 200

    its_host_runs_the_endpoint_and_ships_what_it_answers(endpoint, tables)
    for home in (settings.home, endpoint.settings.home):
        assert [name for name in LOCAL if (home / name).exists()] == []
    no_secret_is_shown(servers, json.dumps([run.results for run in runs], default=str))


def its_host_runs_the_endpoint_and_ships_what_it_answers(
    endpoint: Endpoint, tables: TableStore
) -> None:
    settings = endpoint.settings
    assert set(process_states(settings)) == {"serving", "ship"}
    status = flightdeck("status", settings.home)
    assert status.returncode == 0, status.stdout + status.stderr
    (row,) = [row for row in status.stdout.splitlines() if row.startswith("mlflow ")]
    assert row.split()[1:] == ["elsewhere", "-", "-", settings.mlflow_tracking_uri, "yes"]
    assert not (settings.home / "airflow").exists()

    rows = requests_of_hour(USE_CASE, load_settings(), datetime(2013, 3, 20, 17, tzinfo=UTC))[:3]
    answer = endpoint.predict(rows)
    assert answer.status_code == 200, answer.text
    deadline = time.monotonic() + 240
    while (shipped := answers_in(tables)) < len(rows):
        assert time.monotonic() < deadline, (settings.home / "log" / "ship.log").read_text()
        time.sleep(0.5)
    assert shipped == len(rows)


def answers_in(tables: TableStore) -> int:
    """How many answers the log has in the tables."""
    log = "flight_delays/inference_log"
    return tables.read(log).height if tables.exists(log) else 0


def no_secret_is_shown(servers: Servers, results: str) -> None:
    """Neither in what tasks hand over, nor in a command or log of either host, nor in what MLflow,
    the ledger and Feast's registry have recorded, nor in a file of theirs or a report.
    """
    settings = servers.settings
    family = psutil.Process().children(recursive=True)
    family += find_leftovers(servers.endpoint.settings)
    command = " ".join(part for process in family for part in command_of(process))
    assert "mlflow" in command
    assert "supervisord" in command
    logs = [path for path in settings.home.parent.rglob("*.log") if path.is_file()]
    assert logs
    rows = dict(rows_of(str(settings.mlflow_database)))
    assert {"runs", "tags", "model_versions", "release_ledger"} <= {
        name for name, text in rows.items() if text
    }
    files = dict(files_of(settings.mlflow_artifacts, settings.reports_uri))
    assert {"record.json", "validation.json"} <= {name.rpartition("/")[2] for name in files}
    shown = {"results": results, "commands": command, **rows, **files}
    shown |= {str(path): path.read_text(errors="replace") for path in logs}
    # As it is, and as addresses hold it.
    secrets = [form for secret in (SECRET, PASSWORD) for form in (secret, quote(secret, safe=""))]
    for where, text in shown.items():
        assert not [secret for secret in secrets if secret in text], where


def rows_of(url: str) -> Iterator[tuple[str, str]]:
    """Each table of a database with all its rows as text."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            for name in inspect(engine).get_table_names():
                rows = connection.exec_driver_sql(f'SELECT t::text FROM "{name}" t')
                yield name, "\n".join(rows.scalars())
    finally:
        engine.dispose()


def files_of(*uris: str | None) -> Iterator[tuple[str, str]]:
    """Each object below prefixes of the storage, as far as it is text."""
    for uri in uris:
        store = ObjectStore(str(uri))
        for name in store.tags():
            stored = store.read(name)
            assert stored is not None
            yield f"{uri}/{name}", stored.content.decode(errors="replace")
