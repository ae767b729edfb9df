"""What the spool knows about segments of the journal beside how far they are shipped: how many rows
their writers have written, and what is damaged in them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import orjson

from include.inference_log.journal import EndedSegment
from include.inference_log.journal_reader import Damage

DAMAGE_OF = """SELECT start, end, first, rows, exact, ids FROM damaged
WHERE name = ? AND reported = 0 ORDER BY start"""
INSERT_DAMAGE = """INSERT OR IGNORE INTO damaged
(name, use_case, start, end, first, rows, exact, ids, noticed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_GAPS = """INSERT INTO gaps (use_case, rows, total, noticed_at, reason)
SELECT use_case, rows,
    (SELECT coalesce(max(total), 0) FROM gaps AS counted WHERE counted.use_case = damaged.use_case),
    noticed_at,
    'damaged: bytes ' || start || ' to ' || end || ' of the segment ' || name
        || CASE WHEN exact THEN '' ELSE ', perhaps more rows' END
FROM damaged WHERE name = ? AND reported = 0 ORDER BY start"""


class SegmentNotes:
    """Notes in the spool's file, in its connection and its transactions."""

    def __init__(
        self,
        database: sqlite3.Connection,
        transaction: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._database = database
        self._transaction = transaction

    def note_ended(self, segments: Sequence[EndedSegment]) -> None:
        """Note how many rows their writer has written into segments that it has ended."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO ended (name, rows) VALUES (?, ?)",
                [(segment.name, segment.rows) for segment in segments],
            )

    def written_rows(self, name: str) -> int | None:
        """How many rows a segment's writer has noted; None where it has not, as after a kill."""
        row = self._database.execute("SELECT rows FROM ended WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def rows_before(self, name: str, place: int) -> int:
        """How many rows of a segment lie before the place up to which it is shipped."""
        row = self._database.execute(
            "SELECT coalesce((SELECT shipped_rows FROM segments WHERE name = :name), 0) + coalesce("
            "(SELECT sum(rows) FROM damaged WHERE name = :name AND end <= :place), 0)",
            {"name": name, "place": place},
        ).fetchone()
        return int(row[0])

    def record_damage(self, use_case: str, damages: Mapping[str, Sequence[Damage]]) -> None:
        """Note damage by segment; the same again changes nothing."""
        if any(damages.values()):
            with self._transaction():
                self.insert_damage(use_case, damages)

    def insert_damage(self, use_case: str, damages: Mapping[str, Sequence[Damage]]) -> None:
        """The same inside a transaction of the caller."""
        now = time.time_ns() // 1000
        self._database.executemany(
            INSERT_DAMAGE,
            [
                (
                    name,
                    use_case,
                    damage.start,
                    damage.end,
                    damage.first,
                    damage.rows,
                    damage.exact,
                    orjson.dumps(damage.identifiers),
                    now,
                )
                for name, lost in damages.items()
                for damage in lost
            ],
        )

    def damage_of(self, name: str) -> list[Damage]:
        """The damage of a segment that is not in the table of gaps yet."""
        return [
            Damage(start, end, first, rows, bool(exact), tuple(orjson.loads(ids)))
            for start, end, first, rows, exact, ids in self._database.execute(DAMAGE_OF, (name,))
        ]

    def damaged_segments(self, use_case: str) -> list[str]:
        """The segments with damage that is not in the table of gaps yet."""
        return [
            str(row[0])
            for row in self._database.execute(
                "SELECT DISTINCT name FROM damaged WHERE use_case = ? AND reported = 0", (use_case,)
            )
        ]

    def damaged_rows(self, use_case: str) -> int:
        """How many rows were lost to damage, since ever."""
        row = self._database.execute(
            "SELECT coalesce(sum(rows), 0) FROM damaged WHERE use_case = ?", (use_case,)
        ).fetchone()
        return int(row[0])

    def forget(self, name: str) -> None:
        """Note that a segment is gone; its damage becomes gaps of the log, once."""
        with self._transaction():
            self._database.execute(INSERT_GAPS, (name,))
            self._database.execute("UPDATE damaged SET reported = 1 WHERE name = ?", (name,))
            self._database.execute("DELETE FROM segments WHERE name = ?", (name,))
            self._database.execute("DELETE FROM ended WHERE name = ?", (name,))
