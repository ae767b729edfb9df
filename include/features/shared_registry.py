"""Feast's registry in a database that hosts share: who applies definitions to it has the right
alone, and what was applied last stands beside it.

Feast reads, compares and writes its registry in separate transactions. So whoever applies holds a
lock on one small table meanwhile, `flightdeck_applied`, in which the digest of the definitions
stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select
from sqlalchemy.exc import DatabaseError

from include.database import Database
from include.errors import FeatureStoreError
from include.settings import Settings

METADATA = MetaData()
APPLIED = Table(
    "flightdeck_applied",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False),
)


@dataclass(frozen=True)
class Applying:
    """The right to apply definitions; `digest` is of those that were applied last."""

    connection: Connection
    digest: str | None

    def note(self, digest: str) -> None:
        """Write down what has been applied now."""
        self.connection.execute(insert(APPLIED).values(digest=digest))


@contextmanager
def applying(settings: Settings) -> Iterator[Applying | None]:
    """Hold the right to apply definitions among all hosts; None where the registry is a file.

    Raises `FeatureStoreError` when the database cannot be reached.
    """
    if settings.feature_registry is None:
        yield None
        return
    database = _database(settings.feature_registry)
    with _reported(database), database.writing() as connection:
        newest = _newest(connection)
        yield Applying(connection, None if newest is None else newest[0])


def shared_stamp(settings: Settings) -> tuple[str, int] | None:
    """Digest and number of the definitions that were applied last; None before the first.

    Raises `FeatureStoreError` when the database cannot be reached.
    """
    database = _database(str(settings.feature_registry))
    with _reported(database), database.reading() as connection:
        return None if connection is None else _newest(connection)


def _newest(connection: Connection) -> tuple[str, int] | None:
    newest = select(APPLIED.c.digest, APPLIED.c.number).order_by(APPLIED.c.number.desc()).limit(1)
    row = connection.execute(newest).first()
    return None if row is None else (str(row.digest), int(row.number))


def _database(url: str) -> Database:
    return Database(url, APPLIED.name, METADATA)


@contextmanager
def _reported(database: Database) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise FeatureStoreError(
            f"Feast's registry in {database.place} cannot be used: {str(error.orig).strip()}. Check"
            " that the server runs and that FLIGHTDECK_FEATURE_REGISTRY names it."
        ) from error
