"""A ledger of the old form (a SQLite table with unsigned rows) becomes one of this form by itself,
once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.database import SECONDS
from include.errors import LedgerBroken, ReleaseError
from include.release.ledger import database as db
from include.release.ledger.checking import BACKUP
from include.release.ledger.entries import FORMER_HASH, GENESIS, Entry, entry_of, parsed
from include.release.ledger.head import head_of, read_head, row_message, write_head
from include.release.ledger.keys import Keys

FORMER = "releases"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    "number, recorded_at, event, use_case, version, digest, actor, reason, evidence, previous, hash"
)
NAMES = COLUMNS.split(", ")


def holds_former(path: Path) -> bool:
    """Whether a file holds a ledger of the old form."""
    statement = "SELECT name FROM sqlite_master WHERE type = 'table'"
    return path.is_file() and (FORMER,) in _query(path, statement)


def migrate(former: Path, database: db.LedgerDatabase, keys: Keys, head_path: Path) -> None:
    """Write the rows of an old ledger in the file `former` into the database, signed, and take the
    old table away. Does nothing where there is none.

    The head is written first: the rows are made from the old ones alone, so whoever is killed in
    between makes the same ones again. Raises `LedgerBroken` where the old chain does not hold, or
    where a ledger of this form was there already.
    """
    if not holds_former(former):
        return
    rows = _former_rows(former)
    _check_chain(rows)
    keys.begin()
    entries = _signed(rows, keys)
    head = read_head(head_path, keys)
    target = head_of(entries[-1] if entries else None, BEGINNING)
    if head is not None and (head.number, head.hash) != (target.number, target.hash):
        raise LedgerBroken(
            "replaced",
            0,
            f"{former} holds a ledger of the old form with {len(entries)} rows, and the signed head"
            f" says {head.number} rows of the new form: the file was replaced by an older one."
            f" {BACKUP}",
        )
    if head is None:
        write_head(head_path, target, keys)
    with database.writing() as connection:
        if db.last_entry(connection) is None:
            for entry in entries:
                db.insert(connection, entry)
        if database.file == former:
            connection.exec_driver_sql(f"DROP TABLE {FORMER}")
    keys.publish()
    if database.file != former:
        former.rename(former.with_name(f"{former.name}.migrated"))


def _former_rows(path: Path) -> list[tuple[Any, ...]]:
    statement = f"SELECT {COLUMNS} FROM {FORMER} ORDER BY number"  # noqa: S608
    return _query(path, statement)


def _query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(path, timeout=SECONDS)) as connection:
            return connection.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        raise ReleaseError(f"The ledger {path} cannot be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise LedgerBroken(
            "unreadable", 0, f"The ledger {path} is no database any more ({error}). {BACKUP}"
        ) from error


def _check_chain(rows: list[tuple[Any, ...]]) -> None:
    previous = GENESIS
    for expected, row in enumerate(rows, start=1):
        if row[0] != expected:
            raise LedgerBroken(
                "removed",
                expected,
                f"The ledger is broken: row {expected} is missing (the next one is {row[0]})."
                f" {BACKUP}",
            )
        if row[9] != previous or row[10] != _former_hash(row[:10]):
            raise db.edited(expected, "its hash is another")
        previous = row[10]


def _former_hash(fields: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def _signed(rows: list[tuple[Any, ...]], keys: Keys) -> list[Entry]:
    entries: list[Entry] = []
    for row in rows:
        previous = entries[-1].hash if entries else GENESIS
        fields = dict(zip(NAMES, row, strict=True))
        entry = entry_of(
            {
                **{name: fields[name] for name in NAMES if name != "hash"},
                "evidence": {**parsed(fields["evidence"]), FORMER_HASH: fields["hash"]},
                "previous": previous,
            }
        )
        hashed = replace(entry, hash=entry.computed_hash())
        entries.append(replace(hashed, signature=keys.sign(row_message(hashed.hash))))
    return entries
