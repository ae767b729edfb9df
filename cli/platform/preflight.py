"""What must be true before the platform starts: free disk space, free ports, migrated databases."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from cli.platform.environment import (
    airflow_environment,
    mlflow_environment,
    mlflow_file,
    process_environment,
)
from cli.platform.folders import log_dir
from cli.platform.metadata import data_folder, kind_of, sqlite_file
from cli.platform.processes import Process
from cli.platform.stamped import stamped
from cli.platform.state import run_dir
from cli.workers.celery_workers import require_broker
from include.errors import PlatformError, StorageError
from include.files import locked, write
from include.home_version import enter_home
from include.object_storage import ObjectStore
from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.settings.contradictions import LOOPBACK
from include.settings.environments import Service
from include.settings.object_storage import is_remote
from include.settings.services import VARIABLE

NEEDED_BYTES = 1_000_000_000
MIGRATION_SECONDS = 1800.0
UNKNOWN_REVISION = "Can't locate revision"
NEWER_DATABASE = (
    ". A newer version of it wrote the database: use the version of Flightdeck that did, or a"
    " backup from before in an empty home"
)
MigrationName = Literal["airflow", "mlflow"]
MIGRATIONS: tuple[MigrationName, ...] = ("airflow", "mlflow")


def require_writable(settings: Settings) -> None:
    """Make the home a folder that only its owner can open, and note there which version writes to
    it.

    Raises `PlatformError` where nothing can be written, `SettingsError` for a home that a newer
    version of Flightdeck wrote to, which stays as it is.
    """
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        if home.stat().st_uid == os.getuid():
            home.chmod(0o700)
        write(home / "run" / "writable", "")
        enter_home(home)
    except OSError as error:
        raise PlatformError(
            f"{home} cannot be written to ({error.strerror}); set {PREFIX}HOME to another folder."
        ) from error


def require_object_storage(settings: Settings) -> None:
    """Raise `PlatformError` where an address of object storage leads to none, to one that refuses
    the key, or to one by which writers of several hosts would overwrite each other.
    """
    shared = (settings.models_uri, settings.mlflow_artifacts, settings.reports_uri)
    for place in (settings.tables_uri, *shared):
        if place is not None and is_remote(place):
            try:
                ObjectStore(place).require_conditions()
            except StorageError as error:
                raise PlatformError(str(error)) from error


def require_sign_in(settings: Settings) -> None:
    """Raise `PlatformError` for an MLflow that listens beyond this machine and asks nobody who they
    are.
    """
    if settings.mlflow_access == "open" and settings.host not in LOOPBACK:
        raise PlatformError(
            f"{PREFIX}MLFLOW_ACCESS is open and {PREFIX}HOST is {settings.host}: whoever reaches"
            f" port {settings.mlflow_port} could register versions and move aliases. Set"
            f" {PREFIX}MLFLOW_ACCESS=accounts, or {PREFIX}HOST=127.0.0.1."
        )


def require_executor(settings: Settings) -> None:
    """Raise `PlatformError` for an executor that this command cannot start the workers of, or whose
    workers could not get their tasks.
    """
    if settings.executor == "kubernetes":
        raise PlatformError(
            f"{PREFIX}EXECUTOR is kubernetes, and `flightdeck up` starts one machine, which is no"
            f" cluster. Set {PREFIX}EXECUTOR to local or celery, or deploy to the cluster"
            " (docs/kubernetes.md)."
        )
    if settings.executor == "celery":
        require_broker(settings)


def require_disk(settings: Settings) -> None:
    """Raise `PlatformError` unless the home's file system has room for a run (1 GB)."""
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if free < NEEDED_BYTES:
        raise PlatformError(
            f"{settings.home} has {free / 1e9:.2f} GB free and the platform needs"
            f" {NEEDED_BYTES / 1e9:.0f} GB; free some, or set {PREFIX}HOME to a folder elsewhere."
        )


def require_ports(settings: Settings, processes: Iterable[Process]) -> None:
    """Raise `PlatformError` naming the first port that is taken, who wanted it and how to choose
    another.
    """
    ports: dict[int, str] = {}
    for process in processes:
        first = [] if process.port is None else [(process.port_variable, process.port)]
        for variable, port in (*first, *process.more_ports):
            if port in ports:
                raise PlatformError(
                    f"{ports[port]} and {process.name} both want port {port};"
                    f" {_advice(variable, port)}."
                )
            ports[port] = process.name
            if not _is_free(settings.host, port):
                raise PlatformError(
                    f"port {port}, which {process.name} wants, is in use by another program;"
                    f" {_advice(variable, port)}."
                )


def _advice(variable: str, port: int) -> str:
    return (
        f"choose another with `make up {variable}={port + 1}` or the environment variable"
        f" {PREFIX}{variable}"
    )


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a former server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Migration:
    """One database to bring up to date before anything else opens it.

    `database` is its file or folder, whose stamp beside it says by which version of `package` that
    was done last; None where it lies elsewhere and cannot be stamped, and is looked at every time.
    """

    name: str
    package: str
    database: Path | None
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path = PROJECT_ROOT

    @property
    def is_due(self) -> bool:
        """Whether the database is missing or was migrated by another version of the package."""
        if self.database is None or not self.database.exists():
            return True
        stamp = self.database.with_suffix(".migrated")
        return not stamp.exists() or stamp.read_text() != version(self.package)

    def conclude(self) -> None:
        """Note that it is done."""
        if self.database is None:
            return
        if self.database.is_file():
            _use_wal(self.database)
        self.database.with_suffix(".migrated").write_text(version(self.package))


def migrations_of(settings: Settings) -> tuple[MigrationName, ...]:
    """The databases of the services of this host."""
    return tuple(name for name in MIGRATIONS if name in settings.runs)


def require_service(settings: Settings, service: Service, what: str) -> None:
    """Raise `PlatformError` where a command is for a service that runs on another host."""
    if service not in settings.runs:
        raise PlatformError(
            f"{what} belongs to {service}, and {VARIABLE} is {settings.services}: it runs on"
            f" another host. Call this there, or add {service} to {VARIABLE}."
        )


def migrate(settings: Settings, names: Sequence[MigrationName] = MIGRATIONS) -> list[str]:
    """Create or upgrade the databases of Airflow and MLflow, or of one of them, side by side, once
    per version of either. A PostgreSQL must answer already. Of two that do it in one home the
    second waits, and finds it done. Return the names of those that had to be.

    Raises `PlatformError` with the last line of the log when one fails.
    """
    try:
        with locked(run_dir(settings) / "migrate.lock", seconds=MIGRATION_SECONDS):
            return _migrate(settings, names)
    except TimeoutError as error:
        raise PlatformError(
            f"another command migrates the databases of {settings.home} since more than"
            f" {MIGRATION_SECONDS / 60:.0f} minutes; see the logs in {log_dir(settings)}."
        ) from error


def _migrate(settings: Settings, names: Sequence[MigrationName]) -> list[str]:
    chosen = (_migration(settings, name) for name in names)
    due = [migration for migration in chosen if migration.is_due]
    started = [(migration, _start(settings, migration)) for migration in due]
    codes = [(migration, process.wait()) for migration, process in started]
    for migration, code in codes:
        if code != 0:
            log = _log(settings, migration)
            last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise PlatformError(
                f"the database of {migration.name} could not be migrated: {last}"
                f"{NEWER_DATABASE if UNKNOWN_REVISION in last else ''} (log: {log})"
            )
        migration.conclude()
    return [migration.name for migration in due]


def _migration(settings: Settings, name: MigrationName) -> Migration:
    """What brings one of the databases up to date."""
    if name == "airflow":
        return Migration(
            name=name,
            package="apache-airflow-core",
            database={
                "sqlite": sqlite_file(settings),
                "embedded": data_folder(settings),
                "external": None,
            }[kind_of(settings)],
            command=("airflow", "db", "migrate"),
            environment=airflow_environment(settings),
        )
    mlflow = mlflow_file(settings)
    return Migration(
        name=name,
        package="mlflow",
        database=mlflow if settings.mlflow_database is None else None,
        command=("include.registry.migration",),
        environment=mlflow_environment(settings),
        directory=mlflow.parent,
    )


def _log(settings: Settings, migration: Migration) -> Path:
    return log_dir(settings) / f"{migration.name}-migration.log"


def _start(settings: Settings, migration: Migration) -> subprocess.Popen[bytes]:
    log = _log(settings, migration)
    log.parent.mkdir(parents=True, exist_ok=True)
    migration.directory.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            stamped([sys.executable, "-m", *migration.command]),
            env=process_environment(migration.environment),
            cwd=migration.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _use_wal(database: Path) -> None:
    """Switch the file to a write-ahead log, so that readers do not wait for writers;

    SQLite remembers it in the file.
    """
    connection = sqlite3.connect(database, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
