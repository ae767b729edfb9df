"""The spool: what the endpoint keeps beside its journal, one SQLite file for all use cases and
processes.

It holds the answers of requests that carried an id of their own and their rows (until they are
shipped, and `KEPT_ROWS` more), the ids of shipped answers as long as feedback may come, the
feedback itself, what a full disk kept out, and how far the journal is shipped.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from include.errors import ServingError
from include.inference_log.journal_reader import Damage
from include.inference_log.rows import (
    EVENT_PREFIX,
    Feedback,
    FeedbackOutcome,
    KeyedAnswer,
    LoggedPrediction,
)
from include.inference_log.segment_notes import SegmentNotes
from include.inference_log.spool_layout import prepare
from include.settings import Settings

BUSY_SECONDS = 2.0
KEPT_ROWS = 10_000

COLUMNS = """prediction_id, use_case, model_version, answered_at, event_time, target_id, request,
features, score, decision, flags,
latency_ms, arm, attributions, predicted_class, plan, model_digest, fallback"""
MARKS = f"({', '.join('?' * 18)})"
INSERT = f"INSERT INTO predictions ({COLUMNS}) VALUES {MARKS}"  # noqa: S608  # two constants
SELECT = (
    f"SELECT sequence, {COLUMNS} FROM predictions"  # noqa: S608
    " WHERE use_case = ? AND sequence > ? ORDER BY sequence LIMIT ?"
)
FEEDBACK_COLUMNS = "prediction_id, name, value, text, known_at, received_at"
INSERT_FEEDBACK = """INSERT OR IGNORE INTO feedback
(use_case, prediction_id, name, value, text, known_at, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
SELECT_FEEDBACK = (
    f"SELECT sequence, {FEEDBACK_COLUMNS} FROM feedback"  # noqa: S608
    " WHERE use_case = ? AND sequence > ? ORDER BY sequence LIMIT ?"
)
SELECT_GAPS = (
    "SELECT sequence, rows, total, noticed_at, reason FROM gaps WHERE use_case = ? AND sequence > ?"
    " ORDER BY sequence LIMIT ?"
)
IS_KNOWN = """SELECT 1 FROM predictions WHERE prediction_id = :id AND use_case = :use_case
UNION ALL SELECT 1 FROM answered WHERE prediction_id = :id AND use_case = :use_case LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole frames of one segment of the journal: bytes from `start` to `end`, and their rows."""

    segment: str
    start: int
    end: int
    rows: int


@dataclass(frozen=True)
class Shipment:
    """Rows of the journal on their way into the table, under the numbers from `first` on."""

    use_case: str
    first: int
    pieces: tuple[Piece, ...]

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + sum(piece.rows for piece in self.pieces) - 1


class SpoolError(ServingError):
    """The spool cannot take a row now; what it refused must not be answered."""


def spool_path(settings: Settings) -> Path:
    """The spool's file; its `-wal` and `-shm` lie beside it."""
    return settings.serving_dir / "log" / "spool.db"


class Spool:
    """Use one object in one thread.

    Several processes may open the same file: SQLite serialises their commits, and numbers are given
    out inside the commit, so a reader never sees a number appear below one that it has already
    read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives the files beside it the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            with suppress(PermissionError):  # another user's, who has given us its rows to write
                path.chmod(0o600)
            self._database = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("PRAGMA wal_autocheckpoint=4000")
            self.id = self._create()
            self.journal = path.with_name("journal") / self.id
            self.quarantine = path.with_name("quarantine") / self.id
            self.notes = SegmentNotes(self._database, self._transaction)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise SpoolError(
                f"The inference log's spool {path} cannot be opened: {error}. Free the disk or the"
                " file's lock."
            ) from error

    def _create(self) -> str:
        with self._transaction():
            prepare(self._database)
            layout_id = self._database.execute("SELECT id FROM spool").fetchone()
            if layout_id is None:
                layout_id = (uuid4().hex,)
                self._database.execute("INSERT INTO spool (id) VALUES (?)", layout_id)
        return str(layout_id[0])

    def append(
        self, rows: Sequence[LoggedPrediction], keyed: Sequence[KeyedAnswer] = ()
    ) -> dict[int, bytes | None]:
        """Make all rows durable in one commit, or raise `SpoolError` and keep none of them.

        Rows of a keyed answer whose key is there already are left out; returned are its position in
        `keyed` and the answer that was given then, or None where the key stands for another
        request.
        """
        try:
            with self._transaction():
                repeated = {
                    position: self._remembered(answer)
                    for position, answer in enumerate(keyed)
                    if not self._remember(answer)
                }
                left_out = {
                    identifier
                    for position in repeated
                    for identifier in keyed[position].prediction_ids
                }
                self._database.executemany(
                    INSERT, [row.as_row() for row in rows if row.prediction_id not in left_out]
                )
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(
                f"The inference log's spool {self.path} refused {len(rows)} rows: {error}."
            ) from error
        return repeated

    def append_feedback(
        self, rows: Sequence[Feedback], journaled: Collection[str] = ()
    ) -> FeedbackOutcome:
        """Make all feedback on known answers durable in one commit, and say what became of each
        row; the same again changes nothing.

        `journaled` are the ids among them that the journal of the use case held a moment ago.
        Raises `SpoolError` when the spool takes no rows; then none of them is kept.
        """
        outcomes: dict[str, list[str]] = {
            "recorded": [],
            "repeated": [],
            "conflicting": [],
            "unknown": [],
        }
        try:
            with self._transaction():
                for row in rows:
                    outcomes[self._record(row, row.prediction_id in journaled)].append(
                        row.prediction_id
                    )
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(
                f"The inference log's spool {self.path} refused {len(rows)} rows of feedback:"
                f" {error}."
            ) from error
        return FeedbackOutcome(**{name: tuple(ids) for name, ids in outcomes.items()})

    def probe(self) -> None:
        """Write something that changes nothing; raises `SpoolError` while the disk is full or the
        file locked.
        """
        try:
            with self._transaction():
                self._database.execute("UPDATE spool SET id = id")
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(
                f"The inference log's spool {self.path} takes no rows: {error}."
            ) from error

    def read(self, use_case: str, after: int, limit: int) -> list[tuple[Any, ...]]:
        """At most `limit` rows with a sequence above `after`, in order; columns as in `SELECT`."""
        return self._database.execute(SELECT, (use_case, after, limit)).fetchall()

    def read_feedback(self, use_case: str, after: int, limit: int) -> list[tuple[Any, ...]]:
        """The same of the feedback; columns as in `SELECT_FEEDBACK`."""
        return self._database.execute(SELECT_FEEDBACK, (use_case, after, limit)).fetchall()

    def read_gaps(self, use_case: str, after: int, limit: int) -> list[tuple[Any, ...]]:
        """The same of what a full disk kept out of the log; columns as in `SELECT_GAPS`."""
        return self._database.execute(SELECT_GAPS, (use_case, after, limit)).fetchall()

    def backlog(self, use_case: str) -> int:
        """How many of its rows are not yet known to be in the Delta table."""
        row = self._database.execute(
            "SELECT count(*) FROM predictions WHERE use_case = ? AND sequence > "
            "coalesce((SELECT sequence FROM shipped WHERE use_case = ?), -1)",
            (use_case, use_case),
        ).fetchone()
        return int(row[0])

    def shipped_parts(self, use_case: str) -> dict[str, int]:
        """By segment of the journal, up to which byte it is in the table."""
        return dict(
            self._database.execute(
                "SELECT name, shipped_to FROM segments WHERE use_case = ?", (use_case,)
            )
        )

    def shipped_rows(self, use_case: str) -> dict[str, int]:
        """By segment of the journal, how many of its rows are in the table."""
        return dict(
            self._database.execute(
                "SELECT name, shipped_rows FROM segments WHERE use_case = ?", (use_case,)
            )
        )

    def open_shipment(self, use_case: str) -> Shipment | None:
        """What a shipper has begun and not ended."""
        row = self._database.execute(
            "SELECT first, pieces FROM shipments WHERE use_case = ?", (use_case,)
        ).fetchone()
        return (
            None
            if row is None
            else Shipment(use_case, row[0], tuple(Piece(*piece) for piece in orjson.loads(row[1])))
        )

    def begin_shipment(
        self,
        use_case: str,
        pieces: Sequence[Piece],
        damaged: Mapping[str, Sequence[Damage]] | None = None,
    ) -> Shipment:
        """Give the rows of the pieces the next free numbers, for good: a row that is appended later
        gets a higher one. `damaged` is what the pieces pass over, by segment.
        """
        stored = orjson.dumps(
            [(piece.segment, piece.start, piece.end, piece.rows) for piece in pieces]
        )
        rows = sum(piece.rows for piece in pieces)
        with self._transaction():
            row = self._database.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'predictions'"
            ).fetchone()
            if row is None:
                self._database.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES ('predictions', ?)", (rows,)
                )
            else:
                self._database.execute(
                    "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'predictions'", (rows,)
                )
            first = 1 if row is None else int(row[0]) + 1
            self._database.execute(
                "INSERT INTO shipments (use_case, first, pieces) VALUES (?, ?, ?)",
                (use_case, first, stored),
            )
            self.notes.insert_damage(use_case, damaged or {})
        return Shipment(use_case, first, tuple(pieces))

    def end_shipment(self, shipment: Shipment, identifiers: Sequence[str]) -> None:
        """Note that the table has the rows, and keep their ids for feedback."""
        with self._transaction():
            self._database.execute("DELETE FROM shipments WHERE use_case = ?", (shipment.use_case,))
            self._database.executemany(
                "INSERT INTO segments (name, use_case, shipped_to, shipped_rows)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET shipped_to = excluded.shipped_to,"
                " shipped_rows = shipped_rows + excluded.shipped_rows",
                [
                    (piece.segment, shipment.use_case, piece.end, piece.rows)
                    for piece in shipment.pieces
                ],
            )
            self._database.executemany(
                "INSERT OR IGNORE INTO answered (prediction_id, use_case) VALUES (?, ?)",
                [(identifier, shipment.use_case) for identifier in identifiers],
            )

    def mark_shipped(self, use_case: str, sequence: int) -> None:
        """Note how far the Delta table is (for `backlog`; the truth is the offset in the table) and
        drop what is far behind it.

        Of dropped rows the ids stay, for feedback.
        """
        behind = (use_case, sequence - KEPT_ROWS)
        with self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO shipped (use_case, sequence) VALUES (?, ?)",
                (use_case, sequence),
            )
            self._database.execute(
                "INSERT OR IGNORE INTO answered (prediction_id, use_case) SELECT prediction_id,"
                " use_case FROM predictions WHERE use_case = ? AND sequence <= ?",
                behind,
            )
            self._database.execute(
                "DELETE FROM predictions WHERE use_case = ? AND sequence <= ?", behind
            )

    def forget_ids(self, use_case: str, before: str, shipped_feedback: int) -> None:
        """End the time for feedback on answers whose id sorts before `before`; what of their
        feedback is shipped goes too.
        """
        with self._transaction():
            self._database.execute(
                "DELETE FROM answered WHERE prediction_id < ? AND use_case = ?", (before, use_case)
            )
            self._database.execute(
                "DELETE FROM feedback WHERE prediction_id < ? AND use_case = ? AND sequence <= ?",
                (before, use_case, shipped_feedback),
            )

    def forget_keys(self, before: int, events_before: int = 0) -> None:
        """Forget the answers of keyed requests, and of events, that were given before a moment
        (microseconds since 1970).
        """
        with self._transaction():
            for moment, are_events in ((before, 0), (events_before, 1)):
                self._database.execute(
                    "DELETE FROM answers WHERE answered_at < ? AND (substr(key, 1, ?) = ?) = ?",
                    (moment, len(EVENT_PREFIX), EVENT_PREFIX, are_events),
                )

    def record_gap(self, use_case: str, total: int, *, noticed_at: int, reason: str) -> int:
        """Note that `total` rows of the use case were answered and not logged, since ever; how many
        of them are new.
        """
        with self._transaction():
            before = self._database.execute(
                "SELECT coalesce(max(total), 0) FROM gaps WHERE use_case = ?", (use_case,)
            ).fetchone()[0]
            if total > before:
                values = (use_case, total - before, total, noticed_at, reason)
                self._database.execute(
                    "INSERT INTO gaps (use_case, rows, total, noticed_at, reason) VALUES (?, ?, ?,"
                    " ?, ?)",
                    values,
                )
        return max(0, total - int(before))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _remember(self, answer: KeyedAnswer) -> bool:
        """Whether the key was new."""
        values = (
            answer.use_case,
            answer.key,
            answer.fingerprint,
            answer.body,
            time.time_ns() // 1000,
        )
        return bool(
            self._database.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", values
            ).rowcount
        )

    def _remembered(self, answer: KeyedAnswer) -> bytes | None:
        """What the key got before; None where that was another request."""
        fingerprint, body = self._database.execute(
            "SELECT fingerprint, body FROM answers WHERE use_case = ? AND key = ?",
            (answer.use_case, answer.key),
        ).fetchone()
        return bytes(body) if fingerprint == answer.fingerprint else None

    def _record(self, row: Feedback, answered: bool) -> str:
        """The field of `FeedbackOutcome` that a row belongs to, after it was written where it is
        new.
        """
        if (
            not answered
            and self._database.execute(
                IS_KNOWN, {"id": row.prediction_id, "use_case": row.use_case}
            ).fetchone()
            is None
        ):
            return "unknown"
        if self._database.execute(INSERT_FEEDBACK, row.as_row()).rowcount:
            return "recorded"
        stored = self._database.execute(
            "SELECT value, text FROM feedback WHERE prediction_id = ? AND name = ?",
            (row.prediction_id, row.name),
        ).fetchone()
        return "repeated" if stored == (row.value, row.text) else "conflicting"

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
