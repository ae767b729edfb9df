"""MLflow's server on PostgreSQL with its files in object storage: migrated once, and no secret
where others can read it.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from cli.platform.environment import mlflow_environment, process_environment
from cli.platform.processes import component
from include.errors import SettingsError
from include.object_storage import ObjectStore
from include.registry import migration
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.harness.object_store import SECRET, ObjectStoreServer
from proofs.harness.ports import free_port
from proofs.harness.store_servers import PASSWORD, PostgresServer

WRITER = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run() as run:
    mlflow.log_metric("auc", 0.7)
    mlflow.log_text("kept", "note.txt")
print(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt"))
"""


@pytest.mark.slow
def test_the_server_keeps_runs_in_postgresql_and_files_in_object_storage(
    object_store: ObjectStoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    artifacts = f"{object_store.url}/{secrets.token_hex(8)}"
    with PostgresServer() as database:
        variables = {
            "HOME": str(tmp_path),
            "MLFLOW_PORT": str(free_port()),
            "MLFLOW_DATABASE": database.url,
            "MLFLOW_ARTIFACTS": artifacts,
            "AIRFLOW_DATABASE": "sqlite",
        }
        named = {f"FLIGHTDECK_{name}": value for name, value in variables.items()}
        settings = load_settings({**object_store.variables, **named})
        twice = [_migration(settings) for _ in range(2)]
        assert [process.wait(120) for process in twice] == [0, 0]
        server = component(settings, "mlflow")
        assert not any(secret in " ".join(server.command) for secret in (SECRET, PASSWORD))
        (tmp_path / "mlflow").mkdir()
        log = tmp_path / "mlflow.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                server.command,
                cwd=server.directory,
                env=process_environment(server.environment),
                stdout=output,
                stderr=output,
            )
        try:
            _wait_for(server.health_url, process, log)
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", WRITER, settings.mlflow_tracking_uri],
                env=process_environment({}),
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert done.stdout.endswith("kept\n"), done.stderr
            for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]:
                assert SECRET not in " ".join(each.cmdline())
        finally:
            process.terminate()
            process.wait(30)
        assert any(name.endswith("note.txt") for name in ObjectStore(artifacts).tags())
        assert not (tmp_path / "mlflow" / "mlflow.db").exists()
        assert SECRET not in log.read_text()
        assert database.url.split("@")[0] not in log.read_text()


def _migration(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "include.registry.migration"],
        cwd=PROJECT_ROOT,
        env=process_environment(mlflow_environment(settings)),
    )


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


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
