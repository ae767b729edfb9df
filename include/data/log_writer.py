"""What the endpoint writes its answers through: sampling, privacy, the spool, and what happens while the spool takes no rows."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Mapping, Sequence
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path

from include.data.inference_log import Feedback, FeedbackOutcome, KeyedAnswer, LoggedPrediction, Spool, SpoolError, spool_path
from include.data.log_rows import EVENTS_KEPT_SECONDS
from include.data.privacy import Veil
from include.settings import Settings
from include.spec import UseCase

COUNTER_BYTES = 4096
RESERVED_BYTES = 1_000_000
KEYS_KEPT_SECONDS = 3600.0
FORGET_SECONDS = 60.0

logger = logging.getLogger("flightdeck.serving")


class LogWriter:
    """Use one object in one thread. `error` says why the spool takes no rows at present, None when it does.

    `dropped` are the answered and unlogged rows per use case since ever, over all processes of this home.
    """

    def __init__(self, settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
        self.error: str | None = "The log is not open yet."
        self.dropped: dict[str, int] = {}
        self._path = spool_path(settings)
        self._use_cases = dict(use_cases)
        self._veils = {name: Veil(settings, use_case) for name, use_case in use_cases.items()}
        self._counter = DropCounter(self._path.with_name("dropped.json"))
        self._spool: Spool | None = None
        self._next_forgetting = time.monotonic() + FORGET_SECONDS

    def goes_on_without(self, use_case: str) -> bool:
        """Whether answers of the use case leave although they cannot be logged."""
        return self._use_cases[use_case].serving.log_full == "answer"

    def refuses(self) -> bool:
        """Whether the log's state stops the answers of every use case."""
        return self.error is not None and not any(self.goes_on_without(name) for name in self._use_cases)

    def append(self, use_case: str, rows: Sequence[LoggedPrediction], keyed: Sequence[KeyedAnswer] = ()) -> dict[int, bytes | None]:
        """Make the rows durable as the use case's specification asks; the result is that of `Spool.append`.

        Raises `SpoolError` when they cannot be and the use case says `refuse`; then nothing may be answered. When it says `answer`
        the rows are counted instead, before this returns.
        """
        admitted = self._veils[use_case].cover(self._sampled(use_case, rows))
        if not self.goes_on_without(use_case):
            return self._write(admitted, keyed)
        if self.error is None or self._spool is None:
            try:
                return self._write(admitted, keyed)
            except SpoolError:
                logger.exception("%s: answering goes on without the log", use_case)
        self.dropped = self._counter.add(use_case, len(admitted))
        return {}

    def append_feedback(self, rows: Sequence[Feedback]) -> FeedbackOutcome:
        """Make feedback durable, or raise `SpoolError`."""
        try:
            return self._opened().append_feedback(rows)
        except SpoolError as error:
            self.error = str(error)
            raise

    def tend(self) -> None:
        """To be called about once a second: open the spool, try it again after an error, note what it missed, forget old keys.

        Raises `SpoolError` while it takes no rows.
        """
        spool = self._opened()
        if self.error is not None:
            spool.probe()
        self._require_space()
        self.dropped = self._counter.totals()
        for name, total in self.dropped.items():
            new = spool.record_gap(name, total, noticed_at=time.time_ns() // 1000, reason=self.error or "counted by another process")
            if new:
                logger.error("%s: %d answered rows are missing from the inference log", name, new)
        self.error = None
        if time.monotonic() > self._next_forgetting:
            self._next_forgetting = time.monotonic() + FORGET_SECONDS
            now = time.time_ns() // 1000
            spool.forget_keys(now - int(KEYS_KEPT_SECONDS * 1e6), now - int(EVENTS_KEPT_SECONDS * 1e6))

    def _require_space(self) -> None:
        """A process that nobody asks would not meet the full disk, and a small write may find room where a row does not."""
        free = shutil.disk_usage(self._path.parent).free
        if free < RESERVED_BYTES:
            self.error = f"{self._path.parent} has {free} bytes free; the inference log needs {RESERVED_BYTES}. Free the disk."
            raise SpoolError(self.error)

    def backlog(self, use_case: str) -> int:
        """Rows that are not yet in the Delta table."""
        return self._opened().backlog(use_case)

    def close(self) -> None:
        """Close the spool."""
        if self._spool is not None:
            self._spool.close()

    def _sampled(self, use_case: str, rows: Sequence[LoggedPrediction]) -> Sequence[LoggedPrediction]:
        share = self._use_cases[use_case].serving.log_share
        return rows if share >= 1.0 else [row for row in rows if is_sampled(row.prediction_id, share)]

    def _write(self, rows: Sequence[LoggedPrediction], keyed: Sequence[KeyedAnswer]) -> dict[int, bytes | None]:
        if not rows and not keyed:
            return {}
        try:
            return self._opened().append(rows, keyed)
        except SpoolError as error:
            self.error = str(error)
            raise

    def _opened(self) -> Spool:
        if self._spool is None:
            try:
                self._spool = Spool(self._path)
            except SpoolError as error:
                self.error = str(error)
                raise
            self._counter.prepare()
            self.error = None
        return self._spool


def is_sampled(prediction_id: str, share: float) -> bool:
    """Whether a row of that id belongs to a sample of `share`: the same answer everywhere, and a larger share holds the smaller one."""
    return zlib.crc32(prediction_id.encode()) < share * 2**32


class DropCounter:
    """Rows per use case that were answered and could not be logged: exact over kills, and countable on a full disk.

    One page of JSON that is made while there is space and later overwritten in place, which takes no new block; under a lock, synced
    before an answer leaves. Where even that cannot be done, it counts in memory and says so in the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unwritten: dict[str, int] = {}

    def prepare(self) -> None:
        """Make the page; an `OSError` is left for `add` to meet again."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                flock(descriptor, LOCK_EX)
                if os.fstat(descriptor).st_size < COUNTER_BYTES:
                    os.posix_fallocate(descriptor, 0, COUNTER_BYTES)
                    self._store(descriptor, self._load(descriptor))
            finally:
                os.close(descriptor)
        except OSError:
            logger.exception("the counter of unlogged rows cannot be made; they are counted in memory until it can")

    def add(self, use_case: str, rows: int) -> dict[str, int]:
        """Count rows; the totals after that."""
        waiting = {**self._unwritten, use_case: self._unwritten.get(use_case, 0) + rows}
        try:
            totals = self._change(waiting)
        except OSError:
            logger.exception("%d unlogged rows are counted in memory only", rows)
            self._unwritten = waiting
            return waiting
        self._unwritten = {}
        return totals

    def totals(self) -> dict[str, int]:
        """Rows per use case since ever."""
        try:
            return self._change(self._unwritten) if self._unwritten else self._read()
        except OSError:
            return dict(self._unwritten)

    def _read(self) -> dict[str, int]:
        return _parsed(self.path.read_bytes()) if self.path.exists() else {}

    def _change(self, added: Mapping[str, int]) -> dict[str, int]:
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            flock(descriptor, LOCK_EX)
            totals = self._load(descriptor)
            for name, rows in added.items():
                totals[name] = totals.get(name, 0) + rows
            self._store(descriptor, totals)
            flock(descriptor, LOCK_UN)
        finally:
            os.close(descriptor)
        if added is self._unwritten:
            self._unwritten = {}
        return totals

    def _load(self, descriptor: int) -> dict[str, int]:
        return _parsed(os.pread(descriptor, COUNTER_BYTES, 0))

    def _store(self, descriptor: int, totals: Mapping[str, int]) -> None:
        os.pwrite(descriptor, json.dumps(dict(totals)).encode().ljust(COUNTER_BYTES), 0)
        os.fsync(descriptor)


def _parsed(content: bytes) -> dict[str, int]:
    text = content.strip(b"\0 \n")
    return {str(name): int(rows) for name, rows in json.loads(text).items()} if text else {}
