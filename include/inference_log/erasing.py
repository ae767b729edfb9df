"""The answers about somebody out of the spool: rows that match, what was told about them, and the
bodies that were kept for requests that are repeated.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from include.inference_log.journal_reader import parts_so_far, segments
from include.inference_log.log import one_shipper
from include.inference_log.spool import Spool, spool_path
from include.settings import Settings
from include.spec import UseCase

BUSY_SECONDS = 60.0
PREDICTION_ID = "prediction_id"
Holds = Callable[[str, Any], bool]
"""Whether a value of a column is one of those that are to go."""


def spooled_ids(settings: Settings, use_case: UseCase, holds: Holds) -> list[str]:
    """The prediction ids that the spool holds, be it for feedback alone, of answers that are to go:
    by what was asked, or by the id itself.
    """
    path = spool_path(settings)
    if not path.exists():
        return []
    with closing(_opened(path)) as database:
        rows = database.execute(
            "SELECT prediction_id, target_id, request FROM predictions WHERE use_case = ?",
            (use_case.name,),
        )
        about = {
            str(identifier)
            for identifier, target, request in rows
            if _is_about(use_case, target, request, holds)
        }
        for table in ("predictions", "answered", "feedback"):
            statement = f"SELECT prediction_id FROM {table} WHERE use_case = ?"  # noqa: S608
            ids = (str(row[0]) for row in database.execute(statement, (use_case.name,)))
            about.update(identifier for identifier in ids if holds(PREDICTION_ID, identifier))
    return sorted(about)


def erase_spooled(settings: Settings, use_case: UseCase, ids: Collection[str]) -> int:
    """Delete what the spool holds of these answers, and the bytes of it; how many rows went.

    The endpoint may answer meanwhile: it waits as for any other commit.
    """
    path = spool_path(settings)
    if not path.exists():
        return 0
    with one_shipper(settings, use_case.name), closing(_opened(path)) as database:
        database.execute("PRAGMA secure_delete=ON")
        with database:
            removed = sum(_delete(database, use_case.name, identifier) for identifier in ids)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return removed


def journaled_rows(settings: Settings, use_case: UseCase, holds: Holds) -> int:
    """How many rows about them lie in segments of the journal that cannot go yet: an endpoint is
    writing them.
    """
    path, count = spool_path(settings), 0
    if not path.exists():
        return 0
    with closing(Spool(path)) as spool:
        for segment in segments(spool.journal / use_case.name):
            for part in parts_so_far(segment, 0):
                # As `rows_of` gives them: version, two moments, id, request.
                count += sum(
                    _is_about(use_case, entry[3], entry[4], holds)
                    for entry in orjson.loads(part.entries)
                )
    return count


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS)


def _is_about(use_case: UseCase, target: Any, request: Any, holds: Holds) -> bool:
    values = orjson.loads(request) if isinstance(request, str) else request
    return holds(use_case.id_column, target) or any(
        holds(name, value) for name, value in values.items()
    )


def _delete(database: sqlite3.Connection, use_case: str, identifier: str) -> int:
    removed = 0
    for statement in (
        "DELETE FROM predictions WHERE use_case = ? AND prediction_id = ?",
        "DELETE FROM feedback WHERE use_case = ? AND prediction_id = ?",
        "DELETE FROM answered WHERE use_case = ? AND prediction_id = ?",
        "DELETE FROM answers WHERE use_case = ? AND instr(body, CAST(? AS BLOB)) > 0",
    ):
        removed += database.execute(statement, (use_case, identifier)).rowcount
    return removed
