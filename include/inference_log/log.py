"""The inference log: every answered prediction, first in durable files beside the endpoint, then in
a Delta table.

The endpoint appends to its journal (`include.inference_log.journal`), or to the spool what carries
a request id (`include.inference_log.spool`: SQLite, write-ahead log, `synchronous=FULL`), and
answers only after that is durable. `ship` moves what is new into the Delta table
`<use_case>/inference_log`, `ship_feedback` what applications told about answers into
`<use_case>/feedback`; the consumer's offset lies in the same Delta commit as the rows, so a shipper
killed at any moment repeats nothing and loses nothing. When a row cannot be made durable (disk
full, file locked for longer than `BUSY_SECONDS`), `SpoolError` is raised and nothing of that batch
is acknowledged; what then happens to the answers is the use case's `Serving.log_full`.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from include.catalogue import load_use_case
from include.inference_log.log_tables import (
    FEEDBACK_SCHEMA,
    feedback_frame,
    feedback_table,
    gaps_frame,
    gaps_table,
    log_frame,
    log_schema,
    log_table,
    was_answered,
)
from include.inference_log.rows import (
    CHAMPION,
    LABEL,
    SHADOW,
    Feedback,
    FeedbackOutcome,
    KeyedAnswer,
    LoggedPrediction,
    first_id_at,
    prediction_ids,
    shadow_id,
)
from include.inference_log.shipments import (
    end_shipment,
    ends_now,
    next_shipment,
    remove_shipped,
    rows_of,
)
from include.inference_log.spool import KEPT_ROWS, Spool, SpoolError, spool_path
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

__all__ = [
    "CHAMPION",
    "CHUNK_ROWS",
    "FEEDBACK_SCHEMA",
    "KEPT_ROWS",
    "LABEL",
    "SHADOW",
    "Feedback",
    "FeedbackOutcome",
    "KeyedAnswer",
    "LoggedPrediction",
    "Spool",
    "SpoolError",
    "damaged_rows",
    "feedback_table",
    "gaps_table",
    "log_frame",
    "log_schema",
    "log_table",
    "one_shipper",
    "prediction_ids",
    "shadow_id",
    "ship",
    "ship_feedback",
    "spool_path",
    "was_answered",
]

CHUNK_ROWS = 50_000
MILLISECONDS_PER_DAY = 86_400_000

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class _Stream:
    """One kind of rows on its way from the spool into a table."""

    table: str
    read: Callable[[Spool, str, int, int], list[tuple[Any, ...]]]
    frame: Callable[[Rows], pl.DataFrame]


def ship(settings: Settings, use_case_name: str) -> dict[str, int]:
    """Move all new rows of one use case from journal and spool to its Delta table; safe to repeat
    and to kill.

    Returns `{"shipped": rows moved now, "total": rows in the table, "offset": last sequence in the
    table (-1: none)}`. What a full disk kept out of the log is moved to
    `<use_case>/inference_log_gaps` on the way.
    """
    use_case = load_use_case(use_case_name)
    tables = TableStore(settings.tables_uri)
    name = log_table(use_case_name)
    stored = tables.scan(name).collect_schema() if tables.exists(name) else {}
    frame = partial(log_frame, use_case, stored=dict(stored))
    answers = _Stream(name, Spool.read, frame)
    gaps = _Stream(gaps_table(use_case_name), Spool.read_gaps, gaps_frame)
    shipped, offset = 0, -1
    if spool_path(settings).exists():
        with one_shipper(settings, use_case_name), _opened(settings) as spool:
            shipped, offset = _move_answers(spool, tables, use_case_name, answers)
            if offset >= 0:
                spool.mark_shipped(use_case_name, offset)
            _move(spool, tables, use_case_name, gaps)
    return {"shipped": shipped, "total": _total(tables, answers.table), "offset": offset}


def _move_answers(
    spool: Spool, tables: TableStore, use_case: str, stream: _Stream
) -> tuple[int, int]:
    """Rows moved now, and the last sequence in the table; the numbers in the table only ever
    grow.
    """
    consumer, moved, ends = f"spool-{spool.id}", 0, ends_now(spool, use_case)
    while (shipment := next_shipment(spool, use_case, ends, CHUNK_ROWS)) is not None:
        moved += _move(spool, tables, use_case, stream, before=shipment.first)[0]
        if tables.offset(stream.table, consumer) < shipment.last:
            rows = rows_of(spool, shipment)
            if (
                tables.append_once(
                    stream.table, stream.frame(rows), consumer=consumer, offset=shipment.last
                )
                is not None
            ):
                moved += len(rows)
        # Also where the table has had them already: the shipper before may have been killed between
        # its commit and the sync.
        tables.make_durable(stream.table)
        end_shipment(spool, shipment)
    rest, offset = _move(spool, tables, use_case, stream)
    remove_shipped(spool, use_case)
    return moved + rest, offset


def ship_feedback(settings: Settings, use_case_name: str) -> dict[str, int]:
    """The same for feedback, into `<use_case>/feedback`; ids older than the use case's
    `feedback_days` are forgotten on the way.
    """
    use_case = load_use_case(use_case_name)
    tables = TableStore(settings.tables_uri)
    stream = _Stream(feedback_table(use_case_name), Spool.read_feedback, feedback_frame)
    shipped, offset = 0, -1
    if spool_path(settings).exists():
        with one_shipper(settings, use_case_name), _opened(settings) as spool:
            shipped, offset = _move(spool, tables, use_case_name, stream)
            _forget(spool, use_case, offset)
    return {"shipped": shipped, "total": _total(tables, stream.table), "offset": offset}


def damaged_rows(settings: Settings, use_case_name: str) -> int:
    """How many rows were logged and lost to damage of a file before they were shipped, since
    ever.
    """
    if not spool_path(settings).exists():
        return 0
    with _opened(settings) as spool:
        return spool.notes.damaged_rows(use_case_name)


def _move(
    spool: Spool, tables: TableStore, use_case: str, stream: _Stream, *, before: int | None = None
) -> tuple[int, int]:
    """Rows of the spool (with a sequence below `before`) moved now, and the last sequence in the
    table.
    """
    consumer = f"spool-{spool.id}"
    offset, moved = tables.offset(stream.table, consumer), 0
    full = True
    # A chunk that is not full is the last: with whatever comes meanwhile there would be no end.
    while full and (rows := _below(stream.read(spool, use_case, offset, CHUNK_ROWS), before)):
        offset, full = int(rows[-1][0]), len(rows) == CHUNK_ROWS
        if (
            tables.append_once(stream.table, stream.frame(rows), consumer=consumer, offset=offset)
            is not None
        ):
            moved += len(rows)
    tables.make_durable(stream.table)
    return moved, offset


def _below(rows: list[tuple[Any, ...]], before: int | None) -> list[tuple[Any, ...]]:
    return rows if before is None else [row for row in rows if row[0] < before]


def _forget(spool: Spool, use_case: UseCase, shipped: int) -> None:
    """By the clock that the ids were made with, not by the data's."""
    oldest = time.time_ns() // 1_000_000 - use_case.serving.feedback_days * MILLISECONDS_PER_DAY
    spool.forget_ids(use_case.name, first_id_at(oldest), shipped)


def _total(tables: TableStore, name: str) -> int:
    if not tables.exists(name):
        return 0
    return int(tables.scan(name).select(pl.len()).collect().item())


@contextmanager
def _opened(settings: Settings) -> Iterator[Spool]:
    spool = Spool(spool_path(settings))
    try:
        yield spool
    finally:
        spool.close()


@contextmanager
def one_shipper(settings: Settings, use_case: str) -> Iterator[None]:
    """Hold the right to write the use case's tables of the log; waits for it."""
    lock = spool_path(settings).with_name(f"ship-{use_case}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
