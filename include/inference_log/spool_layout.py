"""The spool's tables, and how a file of an older layout is brought up to date: in place, in one
transaction, keeping every row.

`PRAGMA user_version` is the layout's number. Layout 0 is the first one (predictions only, without
arm and attributions); 2 came with the journal and `predicted_class`, 3 with what is known of
damaged segments, 4 with plan, digest and fallback.
"""

from __future__ import annotations

import sqlite3

LAYOUT = 4

FIRST_COLUMNS = (
    *(
        "sequence",
        "prediction_id",
        "use_case",
        "model_version",
        "answered_at",
        "event_time",
        "target_id",
    ),
    *("request", "features", "score", "decision", "flags", "latency_ms"),
)

TABLES = """
CREATE TABLE IF NOT EXISTS spool (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS predictions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, prediction_id TEXT NOT NULL,
    use_case TEXT NOT NULL, model_version INTEGER NOT NULL,
    answered_at INTEGER NOT NULL, event_time INTEGER NOT NULL, target_id TEXT,
    request TEXT NOT NULL, features TEXT NOT NULL,
    score REAL NOT NULL, decision INTEGER NOT NULL, flags TEXT NOT NULL, latency_ms REAL NOT NULL,
    arm TEXT NOT NULL DEFAULT 'champion', attributions TEXT, predicted_class TEXT,
    plan INTEGER, model_digest TEXT, fallback TEXT
);
CREATE INDEX IF NOT EXISTS predictions_by_use_case ON predictions (use_case, sequence);
CREATE UNIQUE INDEX IF NOT EXISTS predictions_by_id ON predictions (prediction_id);
CREATE TABLE IF NOT EXISTS shipped (use_case TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answered (
    prediction_id TEXT PRIMARY KEY, use_case TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feedback (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, use_case TEXT NOT NULL,
    prediction_id TEXT NOT NULL, name TEXT NOT NULL,
    value REAL, text TEXT, known_at INTEGER NOT NULL, received_at INTEGER NOT NULL,
    UNIQUE (prediction_id, name)
);
CREATE INDEX IF NOT EXISTS feedback_by_use_case ON feedback (use_case, sequence);
CREATE TABLE IF NOT EXISTS answers (
    use_case TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, body BLOB NOT NULL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (use_case, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, use_case TEXT NOT NULL, rows INTEGER NOT NULL,
    total INTEGER NOT NULL,
    noticed_at INTEGER NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS segments (
    name TEXT PRIMARY KEY, use_case TEXT NOT NULL, shipped_to INTEGER NOT NULL,
    shipped_rows INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shipments (
    use_case TEXT PRIMARY KEY, first INTEGER NOT NULL, pieces TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ended (name TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damaged (
    name TEXT NOT NULL, use_case TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    first INTEGER NOT NULL, rows INTEGER NOT NULL, exact INTEGER NOT NULL, ids TEXT NOT NULL,
    noticed_at INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, start)
) WITHOUT ROWID;
"""


def prepare(database: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older layout up to date; to be called inside a
    transaction.

    Raises `ValueError` for a file that this code must not write into: a newer layout, or tables
    that are not ours.
    """
    layout = int(database.execute("PRAGMA user_version").fetchone()[0])
    if layout > LAYOUT:
        raise ValueError(
            f"its layout is {layout} and this code knows {LAYOUT}: a newer Flightdeck has written"
            " it. Go back to that one, ship the log with it (`<use_case>__monitoring` does), and"
            " move the file away; nothing in it was changed"
        )
    columns = [str(row[1]) for row in database.execute("PRAGMA table_info(predictions)")]
    if columns and layout < LAYOUT:
        _extend(database, columns)
    for statement in TABLES.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {LAYOUT}")


def _extend(database: sqlite3.Connection, columns: list[str]) -> None:
    if tuple(columns[: len(FIRST_COLUMNS)]) != FIRST_COLUMNS:
        raise ValueError(
            f"its table predictions has the columns {columns}, which no layout of Flightdeck has."
            " Move the file away and start again; what it holds stays in it, unshipped"
        )
    for name, definition in (
        ("arm", "TEXT NOT NULL DEFAULT 'champion'"),
        ("attributions", "TEXT"),
        ("predicted_class", "TEXT"),
        ("plan", "INTEGER"),
        ("model_digest", "TEXT"),
        ("fallback", "TEXT"),
    ):
        if name not in columns:
            database.execute(f"ALTER TABLE predictions ADD COLUMN {name} {definition}")
