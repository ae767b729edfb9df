"""How many rows were answered and are missing from the inference log, counted where nothing else
can be written.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path
from threading import Lock

COUNTER_BYTES = 4096

logger = logging.getLogger("flightdeck.serving")


class DropCounter:
    """Rows per use case that were answered and could not be logged: exact over kills, and countable
    on a full disk.

    One page of JSON that is made while there is space and later overwritten in place, which takes
    no new block; under a lock, synced before an answer leaves. Where even that cannot be done, it
    counts in memory and says so in the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unwritten: dict[str, int] = {}
        self._lock = Lock()

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
            logger.exception(
                "the counter of unlogged rows cannot be made; they are counted in memory until"
                " it can"
            )

    def add(self, use_case: str, rows: int) -> dict[str, int]:
        """Count rows; the totals after that."""
        with self._lock:
            return self._add(use_case, rows)

    def totals(self) -> dict[str, int]:
        """Rows per use case since ever."""
        with self._lock:
            try:
                return self._change(self._unwritten) if self._unwritten else self._read()
            except OSError:
                return dict(self._unwritten)

    def _add(self, use_case: str, rows: int) -> dict[str, int]:
        waiting = {**self._unwritten, use_case: self._unwritten.get(use_case, 0) + rows}
        try:
            totals = self._change(waiting)
        except OSError:
            logger.exception("%d unlogged rows are counted in memory only", rows)
            self._unwritten = waiting
            return waiting
        self._unwritten = {}
        return totals

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
        # In place and not by `include.files`: the lock belongs to this very file, and several
        # processes must take the same one. One block of constant size is written at once.
        os.pwrite(descriptor, json.dumps(dict(totals)).encode().ljust(COUNTER_BYTES), 0)
        os.fsync(descriptor)


def _parsed(content: bytes) -> dict[str, int]:
    text = content.strip(b"\0 \n")
    return {str(name): int(rows) for name, rows in json.loads(text).items()} if text else {}
