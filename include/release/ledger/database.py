"""The ledger's table in any database that SQLAlchemy reaches: SQLite in a file, PostgreSQL by its
address.

The number is the primary key, so it is also the compare-and-set of two writers at once. Triggers
refuse updates and deletes through SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError

from include.database import Database
from include.errors import LedgerBroken, ReleaseError
from include.release.ledger.entries import Entry, canonical, parsed

NAME = "release_ledger"
METADATA = MetaData()
LEDGER = Table(
    NAME,
    METADATA,
    Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("recorded_at", String(40), nullable=False),
    Column("event", String(20), nullable=False),
    Column("use_case", String(200), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("signature", String(128), nullable=False),
    # A hash of run, event, version and step: the same run writes the same row once.
    Column("once", String(64), nullable=True),
    UniqueConstraint("once", name=f"{NAME}_once"),
)
REFUSAL = "the ledger is append-only"
REFUSING_FUNCTION = (
    f"CREATE OR REPLACE FUNCTION {NAME}_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
)
REFUSING_TRIGGER = (
    f"CREATE TRIGGER {NAME}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {NAME}"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {NAME}_refuse()"
)
TRIGGERS: dict[str, tuple[str, ...]] = {
    "sqlite": tuple(
        f"CREATE TRIGGER {NAME}_no_{operation.lower()} BEFORE {operation} ON {NAME}"
        f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for operation in ("UPDATE", "DELETE")
    ),
    "postgresql": (REFUSING_FUNCTION, REFUSING_TRIGGER),
}


@event.listens_for(LEDGER, "after_create")
def _create_triggers(_: Table, connection: Connection, **__: Any) -> None:
    for statement in TRIGGERS.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)


class LedgerDatabase(Database):
    """The database of a ledger. Raises `ReleaseError` for what is no address of a database."""

    def __init__(self, url: str) -> None:
        try:
            super().__init__(url, NAME, METADATA)
        except ArgumentError as error:
            raise ReleaseError(
                "FLIGHTDECK_LEDGER_URL is no address of a database; write"
                " postgresql://user:password@host:port/database or sqlite:////absolute/path.db."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Yield a connection, or `None` where there is no ledger yet.

        Raises `LedgerBroken` for a file that is no database, `ReleaseError` where the database
        cannot be reached.
        """
        with self._reported(), super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection that holds the right to append; commits unless the body raises.

        Raises what `reading` raises, and `IntegrityError` where another writer was faster.
        """
        with self._reported(), super().writing() as connection:
            yield connection

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DatabaseError as error:
            text = str(error.orig).strip()
            if "not a database" in text or "malformed" in text:
                raise LedgerBroken(
                    "unreadable",
                    0,
                    f"The ledger {self.place} is no database any more ({text}). Restore it from a"
                    " backup.",
                ) from error
            raise ReleaseError(
                f"The ledger {self.place} cannot be used: {text}. Start its database, or correct"
                " FLIGHTDECK_LEDGER_URL."
            ) from error


def insert(connection: Connection, entry: Entry) -> None:
    """Add a row; `IntegrityError` where its number or its run's row is there already."""
    row = {**entry.as_json(), "evidence": canonical(entry.evidence), "once": entry.once}
    connection.execute(LEDGER.insert(), row)


def last_entry(connection: Connection) -> Entry | None:
    """The newest row."""
    found = entries(connection, newest_first=True, limit=1)
    return found[0] if found else None


def entry_at(connection: Connection, number: int) -> Entry | None:
    """The row with this number."""
    found = entries(connection, first=number, last=number)
    return found[0] if found else None


def entry_once(connection: Connection, once: str) -> Entry | None:
    """The row that the same run has written already."""
    found = connection.execute(select(LEDGER).where(LEDGER.c.once == once)).mappings().first()
    return None if found is None else _entry(found)


def entries(
    connection: Connection,
    *,
    use_case: str | None = None,
    events: Sequence[str] | None = None,
    first: int | None = None,
    last: int | None = None,
    newest_first: bool = False,
    limit: int | None = None,
) -> list[Entry]:
    """The rows that fulfil every condition; `first` and `last` are numbers, both included.

    Raises `LedgerBroken` for a row that cannot be read.
    """
    column = LEDGER.c
    statement = select(LEDGER).order_by(column.number.desc() if newest_first else column.number)
    if use_case is not None:
        statement = statement.where(column.use_case == use_case)
    if events is not None:
        statement = statement.where(column.event.in_(events))
    if first is not None:
        statement = statement.where(column.number >= first)
    if last is not None:
        statement = statement.where(column.number <= last)
    return [_entry(row) for row in connection.execute(statement.limit(limit)).mappings()]


def _entry(row: Any) -> Entry:
    fields = {name: value for name, value in row.items() if name != "once"}
    try:
        entry = Entry(
            **{
                **fields,
                "recorded_at": datetime.fromisoformat(fields["recorded_at"]),
                "evidence": parsed(fields["evidence"]),
            }
        )
    except (ValueError, TypeError) as error:
        raise edited(int(row["number"]), str(error)) from error
    if entry.once != row["once"]:
        raise edited(entry.number, "its run does not fit")
    return entry


def edited(number: int, why: str) -> LedgerBroken:
    """The error for a row whose content is not what was hashed."""
    return LedgerBroken(
        "edited",
        number,
        f"The ledger is broken: row {number} has been changed since it was written ({why})."
        " Restore the ledger from a backup.",
    )
