"""The inference log: every answered prediction, first in a durable spool beside the endpoint, then in a Delta table.

The endpoint appends to the spool (SQLite, write-ahead log, `synchronous=FULL`) and answers only after the commit. `ship` moves
what is new into the Delta table `<use_case>/inference_log`; the consumer's offset lies in the same Delta commit as the rows, so a
shipper killed at any moment repeats nothing and loses nothing. When the spool cannot take a row (disk full, file locked for longer
than `BUSY_SECONDS`), `Spool.append` raises `SpoolError`, nothing of that batch is kept, and the endpoint refuses to answer.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import polars as pl

from include.data.tables import TIMESTAMP, TableStore
from include.errors import ServingError
from include.settings import Settings
from include.spec import ColumnType, UseCase, load_use_case

BUSY_SECONDS = 2.0
CHUNK_ROWS = 50_000
KEPT_ROWS = 10_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS predictions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, prediction_id TEXT NOT NULL, use_case TEXT NOT NULL, model_version INTEGER NOT NULL,
    answered_at INTEGER NOT NULL, event_time INTEGER NOT NULL, target_id TEXT, request TEXT NOT NULL, features TEXT NOT NULL,
    score REAL NOT NULL, decision INTEGER NOT NULL, flags TEXT NOT NULL, latency_ms REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS predictions_by_use_case ON predictions (use_case, sequence);
CREATE TABLE IF NOT EXISTS shipped (use_case TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
"""
INSERT = """INSERT INTO predictions (prediction_id, use_case, model_version, answered_at, event_time, target_id, request, features,
score, decision, flags, latency_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
SELECT = """SELECT sequence, prediction_id, model_version, answered_at, event_time, target_id, request, features, score, decision,
flags, latency_ms FROM predictions WHERE use_case = ? AND sequence > ? ORDER BY sequence LIMIT ?"""

TYPES: dict[ColumnType, Any] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "timestamp": TIMESTAMP,
}


class SpoolError(ServingError):
    """The spool cannot take a row now; what it refused must not be answered."""


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """One answered row. Times are microseconds since 1970 (UTC); `request` and `features` are JSON objects.

    `request` holds entity keys and request fields (timestamps as ISO 8601), `features` the `view__feature` values that were used,
    `score` is the probability, `latency_ms` the time from the request's arrival to the moment before the commit.
    """

    prediction_id: str
    use_case: str
    model_version: int
    answered_at: int
    event_time: int
    target_id: str | None
    request: str
    features: str
    score: float
    decision: bool
    flags: str
    latency_ms: float

    def as_row(self) -> tuple[Any, ...]:
        """The values in the order of the spool's columns."""
        return (
            self.prediction_id,
            self.use_case,
            self.model_version,
            self.answered_at,
            self.event_time,
            self.target_id,
            self.request,
            self.features,
            self.score,
            self.decision,
            self.flags,
            self.latency_ms,
        )


def spool_path(settings: Settings) -> Path:
    """The spool's file; its `-wal` and `-shm` lie beside it."""
    return settings.serving_dir / "log" / "spool.db"


class Spool:
    """The durable buffer between the endpoint and the Delta table. Use one object in one thread.

    Several processes may open the same file: SQLite serialises their commits, and numbers are given out inside the commit,
    so a reader never sees a number appear below one that it has already read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("PRAGMA wal_autocheckpoint=4000")
            self.id = self._create()
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"The inference log's spool {path} cannot be opened: {error}. Free the disk or the file's lock.") from error

    def _create(self) -> str:
        with self._transaction():
            for statement in SCHEMA.split(";"):
                self._database.execute(statement)
            known = self._database.execute("SELECT id FROM spool").fetchone()
            if known is None:
                known = (uuid4().hex,)
                self._database.execute("INSERT INTO spool (id) VALUES (?)", known)
        return str(known[0])

    def append(self, rows: Sequence[LoggedPrediction]) -> None:
        """Make all rows durable in one commit, or raise `SpoolError` and keep none of them."""
        try:
            with self._transaction():
                self._database.executemany(INSERT, [row.as_row() for row in rows])
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"The inference log's spool {self.path} refused {len(rows)} rows: {error}.") from error

    def probe(self) -> None:
        """Write something that changes nothing; raises `SpoolError` while the disk is full or the file locked."""
        try:
            with self._transaction():
                self._database.execute("UPDATE spool SET id = id")
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"The inference log's spool {self.path} takes no rows: {error}.") from error

    def read(self, use_case: str, after: int, limit: int) -> list[tuple[Any, ...]]:
        """At most `limit` rows with a sequence above `after`, in order; columns as in `SELECT`."""
        return self._database.execute(SELECT, (use_case, after, limit)).fetchall()

    def backlog(self, use_case: str) -> int:
        """How many rows are not yet known to be in the Delta table."""
        row = self._database.execute(
            "SELECT count(*) FROM predictions WHERE use_case = ? AND sequence > "
            "coalesce((SELECT sequence FROM shipped WHERE use_case = ?), -1)",
            (use_case, use_case),
        ).fetchone()
        return int(row[0])

    def mark_shipped(self, use_case: str, sequence: int) -> None:
        """Note how far the Delta table is (for `backlog`; the truth is the offset in the table) and drop what is far behind it."""
        with self._transaction():
            self._database.execute("INSERT OR REPLACE INTO shipped (use_case, sequence) VALUES (?, ?)", (use_case, sequence))
            self._database.execute("DELETE FROM predictions WHERE use_case = ? AND sequence <= ?", (use_case, sequence - KEPT_ROWS))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

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


def prediction_ids(count: int) -> list[str]:
    """New prediction ids: UUID version 7 (RFC 9562) as 32 hex digits, so they sort by the time they were made."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big").hex()
    random = os.urandom(10 * count).hex()
    return [_uuid7(stamp, random[20 * index : 20 * index + 20]) for index in range(count)]


def _uuid7(stamp: str, random: str) -> str:
    variant = "89ab"[int(random[3], 16) & 3]
    return f"{stamp}7{random[:3]}{variant}{random[4:19]}"


def log_schema(use_case: UseCase) -> dict[str, Any]:
    """Columns and Polars types of the Delta table `<use_case>/inference_log`.

    The event time, the id, entity keys, request fields and `view__feature` columns have the names they have everywhere.
    """
    entity_types = {column.name: column.type for column in use_case.table(use_case.entity_table).columns}
    columns: dict[str, Any] = {
        "prediction_id": pl.String,
        "sequence": pl.Int64,
        "model_version": pl.Int64,
        "answered_at": TIMESTAMP,
        use_case.event_time: TIMESTAMP,
        use_case.id_column: TYPES[entity_types[use_case.id_column]],
    }
    for key in use_case.serving.entity_keys:
        columns[key] = TYPES[entity_types[key]]
    for field in use_case.serving.request_fields:
        columns[field.name] = TYPES[field.type]
    columns.update(feature_types(use_case))
    return {**columns, "score": pl.Float64, "decision": pl.Boolean, "flags": pl.List(pl.String), "latency_ms": pl.Float64}


def feature_types(use_case: UseCase) -> dict[str, Any]:
    """`view__feature` -> Polars type, by the kind of the input that reads it."""
    kinds = {"number": pl.Float64, "category": pl.String}
    return {item.source.replace(":", "__"): kinds.get(item.kind, TIMESTAMP) for item in use_case.inputs if item.view is not None}


def ship(settings: Settings, use_case_name: str) -> dict[str, int]:
    """Move all new rows of one use case from the spool to its Delta table; safe to repeat and to kill.

    Returns `{"shipped": rows moved now, "total": rows in the table, "offset": last sequence in the table (-1: none)}`.
    """
    use_case = load_use_case(use_case_name)
    tables = TableStore(settings.tables_uri)
    name = f"{use_case_name}/inference_log"
    if not spool_path(settings).exists():
        return {"shipped": 0, "total": _total(tables, name), "offset": -1}
    shipped = 0
    with _one_shipper(settings, use_case_name):
        spool = Spool(spool_path(settings))
        try:
            consumer = f"spool-{spool.id}"
            offset = tables.offset(name, consumer)
            while rows := spool.read(use_case_name, offset, CHUNK_ROWS):
                offset = int(rows[-1][0])
                if tables.append_once(name, log_frame(use_case, rows), consumer=consumer, offset=offset) is not None:
                    shipped += len(rows)
            if offset >= 0:
                spool.mark_shipped(use_case_name, offset)
        finally:
            spool.close()
    return {"shipped": shipped, "total": _total(tables, name), "offset": offset}


def log_frame(use_case: UseCase, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of `Spool.read` as the typed columns of `log_schema`."""
    schema = log_schema(use_case)
    records = [_record(use_case, row) for row in rows]
    times = [name for name, dtype in schema.items() if dtype == TIMESTAMP and name not in ("answered_at", use_case.event_time)]
    raw = {name: pl.String if name in times else pl.Int64 if dtype == TIMESTAMP else dtype for name, dtype in schema.items()}
    frame = pl.DataFrame({name: [record.get(name) for record in records] for name in schema}, schema=raw, strict=False)
    return frame.with_columns(
        pl.col("answered_at", use_case.event_time).cast(TIMESTAMP),
        *(pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in times),
    )


def _record(use_case: UseCase, row: tuple[Any, ...]) -> dict[str, Any]:
    sequence, prediction_id, version, answered_at, event_time, target_id, request, features, score, decision, flags, latency_ms = row
    return {
        **orjson.loads(request),
        **orjson.loads(features),
        "prediction_id": prediction_id,
        "sequence": sequence,
        "model_version": version,
        "answered_at": answered_at,
        use_case.event_time: event_time,
        use_case.id_column: target_id,
        "score": score,
        "decision": bool(decision),
        "flags": orjson.loads(flags),
        "latency_ms": latency_ms,
    }


def _total(tables: TableStore, name: str) -> int:
    if not tables.exists(name):
        return 0
    return int(tables.scan(name).select(pl.len()).collect().item())


@contextmanager
def _one_shipper(settings: Settings, use_case: str) -> Iterator[None]:
    lock = spool_path(settings).with_name(f"ship-{use_case}.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
