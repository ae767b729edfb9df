"""`FLIGHTDECK_AIRFLOW_DATABASE`: which database holds Airflow's metadata; and the address of any
PostgreSQL.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

EMBEDDED, SQLITE = "embedded", "sqlite"
VALID_SERVER = (
    "valid is postgresql://user:password@host[:port]/database[?sslmode=require]; write what is no"
    " letter or digit in a password as %XX"
)
VALID = (
    "valid are embedded (a PostgreSQL that the platform starts), sqlite and"
    " postgresql://user:password@host[:port]/database[?sslmode=require]; write what is no letter or"
    " digit in a password as %XX"
)
SCHEMES = ("postgresql", "postgresql+psycopg")
DRIVER = "postgresql+psycopg"
"""The one driver that is installed; it serves Airflow's synchronous and asynchronous engines."""


def airflow_database_url(value: str) -> str | None:
    """SQLAlchemy's address of a database of the user's own; None where the platform brings it.

    Raises `ValueError` saying what is valid; its text holds no part of the value that could be a
    password.
    """
    if value in (EMBEDDED, SQLITE):
        return None
    return server_url(value, VALID)


def server_url(value: str, valid: str = VALID_SERVER) -> str:
    """SQLAlchemy's address of a PostgreSQL; raises `ValueError` as `airflow_database_url` does."""
    try:
        parts = urlsplit(value)
        readable = parts.port is None or parts.port > 0
    except ValueError:
        readable = False
    if not readable or re.search(r'[\s"\\]', value):
        raise ValueError(f"it cannot be read as an address; {valid}")
    if parts.scheme not in SCHEMES:
        what = f"its kind {parts.scheme!r} is not known" if "://" in value else "it names none"
        raise ValueError(f"{what}; {valid}")
    hosted = parts.hostname or dict(parse_qsl(parts.query)).get("host")
    if not hosted or not parts.username or not unquote(parts.path.strip("/")):
        raise ValueError(f"PostgreSQL needs a host, a user and a database; {valid}")
    return f"{DRIVER}{value.removeprefix(parts.scheme)}"
