"""Which database holds Airflow's metadata, and its address.

What the setting `airflow_database` says holds. Where it says nothing it is the PostgreSQL that the
platform starts itself; but a home that has a SQLite file of an earlier version goes on with it, and
so does one on a machine where PostgreSQL cannot be started.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from cli.platform.folders import airflow_home, create_private, socket_folder
from cli.platform.postgres_programs import obstacle
from include.errors import PlatformError
from include.files import sqlite_url
from include.settings import PREFIX, Settings
from include.settings.airflow_database import DRIVER, EMBEDDED, SQLITE, airflow_database_url

Kind = Literal["embedded", "sqlite", "external"]

ROLE, DATABASE, PORT = "flightdeck", "postgres", 5432
"""The port is part of the socket's name; nothing listens on TCP."""


def sqlite_file(settings: Settings) -> Path:
    """SQLite's file, where that is the database."""
    return airflow_home(settings) / "airflow.db"


def data_folder(settings: Settings) -> Path:
    """PostgreSQL's files, where the platform starts one."""
    return airflow_home(settings) / "postgresql"


def kind_of(settings: Settings) -> Kind:
    """Which of them the platform of this home has, or would have when it is started now."""
    chosen = settings.airflow_database
    if chosen is not None and chosen not in (EMBEDDED, SQLITE):
        return "external"
    if chosen is not None:
        return "sqlite" if chosen == SQLITE else "embedded"
    if data_folder(settings).exists():
        return "embedded"
    return "sqlite" if sqlite_file(settings).exists() or obstacle() else "embedded"


def is_of_the_platform(chosen: str | None) -> bool:
    """Whether the value of `airflow_database` names a database of the platform, so no secret."""
    return chosen in (None, EMBEDDED, SQLITE)


def decided(settings: Settings) -> Settings:
    """The settings with `airflow_database` set to what holds.

    Raises `PlatformError` when a PostgreSQL is asked for that cannot be started here.
    """
    kind = kind_of(settings)
    if kind == "embedded" and (reason := obstacle()):
        raise PlatformError(
            f"the platform's PostgreSQL cannot be started: {reason}. Set"
            f" {PREFIX}AIRFLOW_DATABASE to sqlite or to the address of another PostgreSQL, or run"
            " as another user."
        )
    chosen = settings.airflow_database if kind == "external" else kind
    return settings.model_copy(update={"airflow_database": chosen})


def note(settings: Settings) -> str:
    """What whoever starts the platform should know about its database; empty where nothing."""
    if settings.airflow_database is not None or kind_of(settings) != "sqlite":
        return ""
    consequence = (
        "Back-fills may fail there with `database is locked`: see docs/airflow-database.md."
    )
    if sqlite_file(settings).exists():
        return (
            f"Airflow's metadata stay in {sqlite_file(settings)}, the SQLite file that this home"
            f" has. {consequence}"
        )
    return f"Airflow's metadata lie in SQLite, since {obstacle()}. {consequence}"


def password(settings: Settings) -> str:
    """The password of the platform's PostgreSQL; made at the first call."""
    path = airflow_home(settings) / "database.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return create_private(path, {"password": secrets.token_urlsafe(32)})["password"]


def client_options(settings: Settings) -> dict[str, str]:
    """What a client of the platform's PostgreSQL connects with, by libpq's names."""
    return {
        "host": str(socket_folder(settings)),
        "port": str(PORT),
        "user": ROLE,
        "password": password(settings),
        "dbname": DATABASE,
    }


def libpq_environment(settings: Settings) -> dict[str, str]:
    """The same as variables, for PostgreSQL's own programs: a command line can be read by all."""
    options = client_options(settings)
    return {
        f"PG{'DATABASE' if name == 'dbname' else name.upper()}": value
        for name, value in options.items()
    }


def connections(settings: Settings) -> Mapping[str, str]:
    """Airflow's options that say where its metadata lie.

    Airflow itself opens SQLite with WAL and foreign keys; the time-out in its address makes a
    writer wait for its turn (seconds) before it fails with "database is locked".
    """
    match kind_of(settings):
        case "sqlite":
            url = f"{sqlite_url(sqlite_file(settings))}?timeout=30"
            return {"DATABASE__SQL_ALCHEMY_CONN": url}
        case "external":
            url = airflow_database_url(str(settings.airflow_database)) or ""
        case "embedded":
            folder = quote(str(socket_folder(settings)), safe="")
            url = f"{DRIVER}://{ROLE}:{password(settings)}@/{DATABASE}?host={folder}&port={PORT}"
    return {"DATABASE__SQL_ALCHEMY_CONN": url, "DATABASE__SQL_ALCHEMY_CONN_ASYNC": url}
