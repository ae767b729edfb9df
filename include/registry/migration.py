"""`python -m include.registry.migration` brings the database of MLflow's server up to date, once
though several hosts do it at the same time.

Its address is MLFLOW_BACKEND_STORE_URI, the server's own variable: it may hold a password, which
the argument of MLflow's own command would show to everybody.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

VARIABLE = "MLFLOW_BACKEND_STORE_URI"
LOCK = "SELECT pg_advisory_lock(hashtext('flightdeck mlflow migration'))"


def migrate(url: str) -> None:
    """Create or upgrade the tables; raises SQLAlchemy's errors."""
    from mlflow.db import upgrade

    with alone(url):
        upgrade.callback(url)


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Of two that migrate one server's database the second waits; a file has one host."""
    if make_url(url).get_backend_name() != "postgresql":
        yield
        return
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(LOCK)
        yield  # the lock ends with the connection


def main() -> int:
    """Exit code: 1 with the reason on standard error where it cannot be done."""
    try:
        migrate(os.environ[VARIABLE])
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().replace("\n", " ")
        sys.stderr.write(f"MLflow's database cannot be brought up to date: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
