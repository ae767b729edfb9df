"""`flightdeck restore`: a backup becomes a home, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from cli.backup.archive import unpack
from cli.backup.contents import LEFT_OUT
from cli.backup.save import DUMP
from cli.platform import metadata, postgres, supervision
from cli.platform.environment import mlflow_file
from cli.platform.folders import remove_short_socket_folder
from include.errors import BackupError
from include.files import publishing, umask
from include.home_version import require_no_newer
from include.settings import Settings

LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}
"""Columns of MLflow's database that hold addresses of artefacts."""
MADE_ANEW = tuple(name for name in LEFT_OUT if "/" not in name)


def restore(settings: Settings, path: Path) -> dict[str, Any]:
    """Make the settings' home from a backup; what the backup says of itself.

    Everything is prepared beside the home and then takes its name. Raises `BackupError` where the
    home holds something, another restore was sooner, or the backup is not whole, `SettingsError`
    where a newer version made it.
    """
    _require_empty(settings)
    try:
        return _restored(settings, path)
    except FileExistsError as error:
        raise BackupError(
            f"{settings.home} came to be while the backup was read, by another restore or a start"
            " of the platform: it was left as it is."
        ) from error


def _restored(settings: Settings, path: Path) -> dict[str, Any]:
    with umask(0o077), publishing(settings.home, durable=True, replace=False) as aside:
        about = unpack(path, aside)
        require_no_newer(about.get("version"), str(path))
        there = settings.model_copy(update={"home": aside, "airflow_database": None})
        _load_dump(there)
        _relocate(there, settings.home)
        remove_short_socket_folder(there)
        for name in ("run", "log"):
            _remove_files(aside / name)
        # What a command leaves in a home that was never used.
        _require_empty(settings)
        for name in MADE_ANEW:
            shutil.rmtree(settings.home / name, ignore_errors=True)
    return about


def _require_empty(settings: Settings) -> None:
    if supervision.is_running(settings):
        raise BackupError(
            f"The platform of {settings.home} runs. Restore into another home, FLIGHTDECK_HOME, or"
            " end it (`flightdeck down`) and move its home away."
        )
    if settings.home.exists():
        there = sorted(path.name for path in settings.home.iterdir() if path.name not in MADE_ANEW)
        if there:
            raise BackupError(
                f"{settings.home} holds {', '.join(there[:5])}: a backup replaces nothing. Move it"
                " away, or name an empty folder by FLIGHTDECK_HOME."
            )


def _load_dump(settings: Settings) -> None:
    """Airflow's metadata into a PostgreSQL of the home."""
    dump = settings.home / DUMP
    if not dump.exists():
        return
    with postgres.running(settings):
        done = subprocess.run(
            [
                postgres.program("pg_restore"),
                "--no-owner",
                "--exit-on-error",
                "--single-transaction",
                f"--dbname={metadata.DATABASE}",
                str(dump),
            ],
            env={**os.environ, **metadata.libpq_environment(settings)},
            capture_output=True,
            check=False,
            text=True,
        )
    if done.returncode != 0:
        raise BackupError(f"pg_restore could not load Airflow's metadata: {done.stderr.strip()}")
    dump.unlink()


def _relocate(settings: Settings, home: Path) -> None:
    """Let MLflow's addresses of files that lay in the former home name the new one."""
    database = mlflow_file(settings)
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        former = _former_home(connection)
        if former is None or former == home.as_uri():
            return
        for table, columns in LOCATIONS.items():
            for column in columns:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                    f" WHERE substr({column}, 1, ?) = ?",
                    (home.as_uri(), len(former) + 1, len(former) + 1, f"{former}/"),
                )


def _former_home(connection: sqlite3.Connection) -> str | None:
    """The home in which experiments without a server kept their artefacts."""
    suffix = "/mlflow/artifacts"
    for (location,) in connection.execute("SELECT artifact_location FROM experiments"):
        if location and location.startswith("file://") and suffix in location:
            return str(location.rpartition(suffix)[0])
    return None


def _remove_files(folder: Path) -> None:
    for path in folder.glob("*"):
        if path.is_file() or path.is_socket():
            path.unlink()
