"""Small tables that many processes write at once, in any database that SQLAlchemy reaches: SQLite
in a file, PostgreSQL by its address.

Whoever writes holds the right to write from its first read on, so what it decides rests on what it
has read. A commit is on the disk when it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from include.files import make_folder

SECONDS = 30
"""How long a writer waits for another one."""


class Database:
    """The database at a URL; nothing is made before the first `writing`.

    `table` is the table that a writer locks and a reader looks for. Raises SQLAlchemy's
    `ArgumentError` for what is no address.
    """

    def __init__(self, url: str, table: str, metadata: MetaData) -> None:
        self.url, self.table, self.metadata = _parsed(url), table, metadata
        self.engine = _engine(self.url)
        self.place = str(self.file or self.url.render_as_string(hide_password=True))

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; `None` for any other."""
        named = self.url.get_backend_name() == "sqlite" and self.url.database
        return Path(named) if named else None

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Yield a connection, or `None` where the table is not there yet.

        Raises SQLAlchemy's `DatabaseError`.
        """
        if self.file is not None and not self.file.is_file():
            yield None
            return
        with self.engine.connect() as connection:
            yield connection if inspect(connection).has_table(self.table) else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection that nobody else writes beside; commits unless the body raises.

        Raises SQLAlchemy's `DatabaseError`.
        """
        if self.file is not None:
            make_folder(self.file.parent)
        with self._transaction() as connection:
            on_postgresql = connection.dialect.name == "postgresql"
            if on_postgresql:
                # Of two that make the same tables at once, the second fails.
                turn = f"SELECT pg_advisory_xact_lock(hashtext('{self.table}'))"
                connection.exec_driver_sql(turn)
            self.metadata.create_all(connection)
            if on_postgresql:
                lock = f"LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE"
                connection.exec_driver_sql(lock)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self.file is None:
            with self.engine.begin() as connection:
                yield connection
            return
        # SQLite's driver would begin a transaction that only reads, and find out too late that
        # another one writes.
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")


def _parsed(text: str) -> URL:
    url = make_url(text)
    # Of PostgreSQL's drivers the lock holds the third generation of psycopg.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, poolclass=NullPool)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": SECONDS})

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=EXTRA")

    return engine
