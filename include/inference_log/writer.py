"""What the endpoint writes its answers through: sampling, privacy, journal and spool, and what
happens while they take no rows.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from include.inference_log.drop_counter import DropCounter
from include.inference_log.frames import Frame, encode
from include.inference_log.journal import EndedSegment, Journal
from include.inference_log.journal_reader import JournaledIds, RowCount
from include.inference_log.log import (
    Feedback,
    FeedbackOutcome,
    KeyedAnswer,
    LoggedPrediction,
    Spool,
    SpoolError,
    spool_path,
)
from include.inference_log.redaction import Redaction
from include.inference_log.rows import EVENTS_KEPT_SECONDS
from include.settings import Settings
from include.spec import UseCase

RESERVED_BYTES = 1_000_000
KEYS_KEPT_SECONDS = 3600.0
FORGET_SECONDS = 60.0

T = TypeVar("T")

logger = logging.getLogger("flightdeck.serving")


class LogWriter:
    """`error` says why the log takes no rows at present, None when it does.

    `dropped` are the answered and unlogged rows per use case since ever, over all processes of this
    home; `damaged` the logged ones that damage to a file has taken. `encode`, `write` and `failed`
    are for the event loop, everything else for one thread.
    """

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
        self.error: str | None = "The log is not open yet."
        self.dropped: dict[str, int] = {}
        self.damaged: dict[str, int] = {}
        self._unnoted: list[EndedSegment] = []
        self._path = spool_path(settings)
        self._segment_bytes = settings.log_segment_bytes
        self._use_cases = use_cases
        self._settings = settings
        self._redactions: dict[str, Redaction] = {}
        self._counter = DropCounter(self._path.with_name("dropped.json"))
        self._spool: Spool | None = None
        self._journal: Journal | None = None
        self._known: dict[str, JournaledIds] = {}
        self._counts: dict[str, RowCount] = {}
        self._folder = self._path.parent
        self._next_forgetting = time.monotonic() + FORGET_SECONDS

    def goes_on_without(self, use_case: str) -> bool:
        """Whether answers of the use case leave although they cannot be logged."""
        return self._use_cases[use_case].serving.log_full == "answer"

    def refuses(self) -> bool:
        """Whether the log's state stops the answers of every use case."""
        return self.error is not None and not any(
            self.goes_on_without(name) for name in self._use_cases
        )

    def encode(self, use_case: str, rows: Sequence[LoggedPrediction]) -> Frame:
        """The rows as the use case's specification wants them logged: a sample, with marked columns
        hidden.
        """
        return encode(self._admitted(use_case, rows))

    def write(self, use_case: str, frame: Frame) -> int | None:
        """Write a frame of `encode` to the journal; the file to be synced before anything of it is
        answered, None when nothing is to be.

        Raises `SpoolError` when it cannot be written and the use case says `refuse`; then nothing
        may be answered. When it says `answer` the rows are counted instead, before this returns.
        """
        if not frame.rows:
            return None
        file = self._attempt(use_case, frame.rows, partial(self._to_journal, use_case, frame))
        return file if self._syncs_answers(use_case) else None

    def _syncs_answers(self, use_case: str) -> bool:
        return self._use_cases[use_case].serving.log_sync == "answer"

    def failed(self, use_case: str, frame: Frame, error: OSError) -> None:
        """The file could not be synced: raises or counts as `write` does."""
        if self._journal is not None:
            self._journal.give_up(use_case)
        self._attempt(use_case, frame.rows, partial(self._raise, error))

    def needs_room(self, use_case: str) -> bool:
        """Whether `make_room` should be called soon."""
        return self._journal is not None and self._journal.needs_spare(use_case)

    def make_room(self) -> None:
        """Prepare what the journal will need next; raises `SpoolError` while there is no room for
        it, and `error` says so.
        """
        try:
            for name in self._use_cases:
                self._with_journal(partial(Journal.prepare, use_case=name))
        except SpoolError as error:
            self.error = str(error)
            raise

    def append(
        self, use_case: str, rows: Sequence[LoggedPrediction], keyed: Sequence[KeyedAnswer]
    ) -> dict[int, bytes | None]:
        """Make rows durable of which some belong to keyed answers, in the spool; the result is that
        of `Spool.append`.
        """
        admitted = self._admitted(use_case, rows)
        return (
            self._attempt(use_case, len(admitted), lambda: self._opened().append(admitted, keyed))
            or {}
        )

    def append_feedback(self, rows: Sequence[Feedback]) -> FeedbackOutcome:
        """Make feedback durable, or raise `SpoolError`."""
        try:
            spool = self._opened()
            # The journal first: what is shipped between the two looks is in the spool at the
            # second.
            return spool.append_feedback(rows, self._journaled(rows))
        except SpoolError as error:
            self.error = str(error)
            raise

    def tend(self) -> None:
        """To be called about once a second: open the log, try it again after an error, note what it
        missed, forget old keys.

        Raises `SpoolError` while it takes no rows.
        """
        spool = self._opened()
        if self.error is not None:
            spool.probe()
        for name in self._use_cases:
            if not self._syncs_answers(name):
                self._with_journal(partial(Journal.sync, use_case=name))
        self.make_room()
        self._note_ended(spool)
        self.damaged = {name: spool.notes.damaged_rows(name) for name in self._use_cases}
        self._require_space()
        self.dropped = self._counter.totals()
        for name, total in self.dropped.items():
            new = spool.record_gap(
                name,
                total,
                noticed_at=time.time_ns() // 1000,
                reason=self.error or "counted by another process",
            )
            if new:
                logger.error("%s: %d answered rows are missing from the inference log", name, new)
        self.error = None
        if time.monotonic() > self._next_forgetting:
            self._next_forgetting = time.monotonic() + FORGET_SECONDS
            now = time.time_ns() // 1000
            spool.forget_keys(
                now - int(KEYS_KEPT_SECONDS * 1e6), now - int(EVENTS_KEPT_SECONDS * 1e6)
            )

    def backlog(self, use_case: str) -> int:
        """Rows that are not yet in the Delta table."""
        spool = self._opened()
        shipped, counted = spool.shipped_rows(use_case), self._count(use_case).by_segment()
        return spool.backlog(use_case) + sum(
            rows - shipped.get(name, 0) for name, rows in counted.items()
        )

    def close(self) -> None:
        """Close everything."""
        if self._journal is not None:
            self._journal.close()
        if self._spool is not None:
            # Without the note a segment says itself how many rows it has, unless it is cut later.
            with suppress(sqlite3.Error):
                self._note_ended(self._spool)
            self._spool.close()

    def _note_ended(self, spool: Spool) -> None:
        """What cannot be noted now is noted the next time."""
        if self._journal is not None:
            self._unnoted += self._journal.take_ended()
        if self._unnoted:
            spool.notes.note_ended(self._unnoted)
            self._unnoted = []

    def _require_space(self) -> None:
        """A process that nobody asks would not meet the full disk, and a small write may find room
        where a row does not.
        """
        free = shutil.disk_usage(self._path.parent).free
        if free < RESERVED_BYTES:
            self.error = (
                f"{self._path.parent} has {free} bytes free; the inference log needs"
                f" {RESERVED_BYTES}. Free the disk."
            )
            raise SpoolError(self.error)

    def _admitted(self, use_case: str, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        share = self._use_cases[use_case].serving.log_share
        sampled = (
            rows if share >= 1.0 else [row for row in rows if is_sampled(row.prediction_id, share)]
        )
        return self._redaction(use_case).cover(sampled)

    def _redaction(self, name: str) -> Redaction:
        """What hides the marked columns of a use case as it is declared now."""
        use_case, redaction = self._use_cases[name], self._redactions.get(name)
        if redaction is None or redaction.use_case is not use_case:
            redaction = self._redactions[name] = Redaction(self._settings, use_case)
        return redaction

    def _attempt(self, use_case: str, rows: int, write: Callable[[], T]) -> T | None:
        """What `write` gives; None when it failed and the use case goes on without."""
        if self.goes_on_without(use_case) and self.error is not None and self._spool is not None:
            self._drop(use_case, rows)
            return None
        try:
            return write()
        except SpoolError as error:
            self.error = str(error)
            if not self.goes_on_without(use_case):
                raise
            logger.exception("%s: answering goes on without the log", use_case)
            self._drop(use_case, rows)
            return None

    def _drop(self, use_case: str, rows: int) -> None:
        self.dropped = self._counter.add(use_case, rows)

    def _to_journal(self, use_case: str, frame: Frame) -> int:
        if self._spool is None:
            raise SpoolError(
                f"The inference log {self._path.parent} is not open yet. {self.error or ''}".strip()
            )
        return self._with_journal(lambda journal: journal.write(use_case, frame))

    def _with_journal(self, work: Callable[[Journal], T]) -> T:
        if self._journal is None:
            raise SpoolError(f"The journal in {self._path.parent} is not open; call `tend` first.")
        try:
            return work(self._journal)
        except OSError as error:
            self._raise(error)

    def _raise(self, error: OSError) -> NoReturn:
        raise SpoolError(
            f"The inference log's journal in {self._path.parent} takes no rows: {error}. Free the"
            " disk."
        ) from error

    def _journaled(self, rows: Sequence[Feedback]) -> set[str]:
        journaled: set[str] = set()
        for name in {row.use_case for row in rows}:
            journaled |= self._ids(name).among(
                row.prediction_id for row in rows if row.use_case == name
            )
        return journaled

    def _opened(self) -> Spool:
        if self._spool is None:
            try:
                self._spool = self._open()
            except SpoolError as error:
                self.error = str(error)
                raise
            self._counter.prepare()
            self.error = None
        return self._spool

    def _open(self) -> Spool:
        spool = Spool(self._path)
        try:
            self._open_journal(spool.journal)
        except SpoolError:
            spool.close()
            raise
        return spool

    def _ids(self, name: str) -> JournaledIds:
        return self._known.setdefault(name, JournaledIds(self._folder / name))

    def _count(self, name: str) -> RowCount:
        return self._counts.setdefault(name, RowCount(self._folder / name))

    def _open_journal(self, folder: Path) -> None:
        self._known, self._counts = {}, {}
        self._folder = folder
        self._journal = self._journal or Journal(folder, self._segment_bytes)
        self.make_room()


def is_sampled(prediction_id: str, share: float) -> bool:
    """Whether a row of that id belongs to a sample of `share`: the same answer everywhere, and a
    larger share holds the smaller one.
    """
    return zlib.crc32(prediction_id.encode()) < share * 2**32
