"""The release ledger: what was put into service, by whom and why. Append-only, and every row
vouches for the one before it.

A SQLite file. Triggers refuse updates and deletes through SQL; each row holds the SHA-256 of the
previous row's hash and its own content, so that a change made past the triggers is found by
`verify`, which names the first row that does not fit.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from include.errors import LateStep, ReleaseError

Event = Literal["promoted", "rolled_back"]
GENESIS = "0" * 64

SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (
    number INTEGER PRIMARY KEY, recorded_at TEXT NOT NULL, event TEXT NOT NULL,
    use_case TEXT NOT NULL, version INTEGER NOT NULL,
    digest TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS releases_no_update BEFORE UPDATE ON releases
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS releases_no_delete BEFORE DELETE ON releases
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""
COLUMNS = (
    "number, recorded_at, event, use_case, version, digest, actor, reason, evidence, previous, hash"
)


@dataclass(frozen=True)
class Entry:
    """One row.

    `recorded_at` is UTC; `previous` is the hash of row `number - 1` (64 zeros for the first).
    """

    number: int
    recorded_at: datetime
    event: str
    use_case: str
    version: int
    digest: str
    actor: str
    reason: str
    evidence: dict[str, Any]
    previous: str
    hash: str


class Ledger:
    """The ledger in one file; created when it does not exist.

    Safe for several processes at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as database:
            database.executescript(SCHEMA)

    def append(
        self,
        event: Event,
        use_case: str,
        version: int,
        digest: str,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
        *,
        after: int | None = None,
    ) -> Entry:
        """Add one row and return it. `evidence` must be JSON.

        `after` is the number of the newest promotion of the use case that the caller has read (0:
        there was none). When there is a newer one, of this very version, that row is returned;
        otherwise `LateStep` is raised, and nothing is added.
        """
        content = json.dumps(evidence, sort_keys=True, allow_nan=False)
        with self._writing() as database:
            newer = None if after is None else _newer_promotion(database, use_case, after)
            if newer is not None:
                return _same_or_late(newer, version, digest)
            last = database.execute(
                "SELECT number, hash FROM releases ORDER BY number DESC LIMIT 1"
            ).fetchone() or (0, GENESIS)
            fields = (
                last[0] + 1,
                datetime.now(UTC).isoformat(),
                event,
                use_case,
                version,
                digest,
                actor,
                reason,
                content,
                last[1],
            )
            row = (*fields, _hash(fields))
            database.execute(
                f"INSERT INTO releases ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                row,
            )
        return _entry(row)

    def rows(self, use_case: str | None = None) -> list[Entry]:
        """All rows (of one use case), oldest first."""
        return [_entry(row) for row in self._read() if use_case is None or row[3] == use_case]

    def serving_at(self, use_case: str, when: datetime) -> Entry | None:
        """The promotion that was in force at `when` (time-zone aware): the last one recorded until
        then.
        """
        promoted = [
            entry
            for entry in self.rows(use_case)
            if entry.event == "promoted" and entry.recorded_at <= when
        ]
        return promoted[-1] if promoted else None

    def current(self, use_case: str) -> Entry | None:
        """The newest promotion."""
        promoted = [entry for entry in self.rows(use_case) if entry.event == "promoted"]
        return promoted[-1] if promoted else None

    def promotion_before(
        self, use_case: str, after: int | None, version: int, digest: str
    ) -> Entry | None:
        """The promotion that a release of the version replaces: number `after` (0: none), or the
        newest one where nobody has noted it.

        Raises `LateStep` when another version was promoted since.
        """
        current = self.current(use_case)
        if after is None or current is None or current.number <= after:
            return current
        _same_or_late(current, version, digest)
        return next((entry for entry in self.rows(use_case) if entry.number == after), None)

    def verify(self) -> int:
        """The number of rows; raises `ReleaseError` naming the first row that is changed, missing
        or out of order.
        """
        previous, expected = GENESIS, 1
        for row in self._read():
            if row[0] != expected:
                raise ReleaseError(
                    f"{self.path}: row {expected} is missing (the next one is {row[0]}). Restore"
                    " the ledger from a backup."
                )
            if row[9] != previous or row[10] != _hash(row[:10]):
                raise ReleaseError(
                    f"{self.path}: row {row[0]} has been changed or inserted later. Restore the"
                    " ledger from a backup."
                )
            previous, expected = row[10], expected + 1
        return expected - 1

    def _read(self) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as database:
            statement = f"SELECT {COLUMNS} FROM releases ORDER BY number"  # noqa: S608
            return database.execute(statement).fetchall()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30.0, isolation_level=None)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as database:
            database.execute("PRAGMA synchronous=FULL")
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")


def _newer_promotion(database: sqlite3.Connection, use_case: str, after: int) -> Entry | None:
    statement = (
        f"SELECT {COLUMNS} FROM releases WHERE use_case = ? AND event = 'promoted' AND number > ?"  # noqa: S608
        " ORDER BY number DESC LIMIT 1"
    )
    row = database.execute(statement, (use_case, after)).fetchone()
    return None if row is None else _entry(row)


def _same_or_late(newer: Entry, version: int, digest: str) -> Entry:
    if (newer.version, newer.digest) == (version, digest):
        return newer
    raise LateStep(
        f"The release of version {version} of {newer.use_case} is late: version {newer.version} was"
        f" promoted since it was selected (row {newer.number} of the ledger, by {newer.actor})."
        " Start a new deployment if this version should serve."
    )


def _hash(fields: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def _entry(row: tuple[Any, ...]) -> Entry:
    (
        number,
        recorded_at,
        event,
        use_case,
        version,
        digest,
        actor,
        reason,
        evidence,
        previous,
        own,
    ) = row
    moment = datetime.fromisoformat(recorded_at)
    return Entry(
        number,
        moment,
        event,
        use_case,
        version,
        digest,
        actor,
        reason,
        json.loads(evidence),
        previous,
        own,
    )
