"""The tables of the alarms: what is wrong, what happened, what people are told, and how far each
sink has told it.

They lie where the release ledger lies: in the database of `FLIGHTDECK_LEDGER_URL`, or in a SQLite
file of their own below the home.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.exc import ArgumentError, DatabaseError

from include.database import Database
from include.errors import AlarmError
from include.files import sqlite_url
from include.settings import Settings

METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")

ALARMS = Table(
    "alarms",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("use_case", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", String(400), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("use_case", "kind", "subject", name="alarms_key"),
)
HISTORY = Table(
    "alarm_history",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("alarm", NUMBER, nullable=False, index=True),
    Column("once", String(64), nullable=True, index=True),
    Column("content", Text, nullable=False),
)
NOTICES = Table(
    "alarm_notices",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("at", String(40), nullable=False),
    Column("content", Text, nullable=False),
)
SINKS = Table(
    "alarm_sinks",
    METADATA,
    Column("name", String(100), primary_key=True),
    # The newest notice that it has sent, or passed over because it is not for it.
    Column("done", NUMBER, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("next_at", String(40), nullable=False),
    # Who sends at the moment, and until when nobody else may.
    Column("claim", String(40), nullable=False),
    Column("claimed_until", String(40), nullable=False),
)


class AlarmTables:
    """The database of the alarms of a home; nothing is made before the first writing."""

    def __init__(self, settings: Settings) -> None:
        url = settings.ledger_url or sqlite_url(settings.alarms_path)
        try:
            self.database = Database(url, ALARMS.name, METADATA)
        except ArgumentError as error:
            raise AlarmError(
                "FLIGHTDECK_LEDGER_URL is no address of a database; write"
                " postgresql://user:password@host:port/database or sqlite:////absolute/path.db."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Yield a connection, or `None` where there was no alarm yet. Raises `AlarmError`."""
        with self._reported(), self.database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection that nobody else writes beside; commits unless the body raises.

        Raises `AlarmError`.
        """
        with self._reported(), self.database.writing() as connection:
            yield connection

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise AlarmError(
                f"The alarms in {self.database.place} cannot be used: {str(error.orig).strip()}."
                " Start the database, or move a damaged file away: it holds alarms alone."
            ) from error
