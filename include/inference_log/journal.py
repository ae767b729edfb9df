"""The journal: where the endpoint writes what it is about to answer, with one system call for all
rows of a moment.

A process appends to segments of its own, in one folder per use case:
`journal/<use_case>/<microseconds>-<random>.log`. A segment is a sequence of frames, each the rows
of one commit:

    magic FDJ1 | length of what follows the header | CRC-32 of it | number of rows | their ids, 16
    bytes each | a JSON list of rows

Behind the last frame there are zeros: a segment has its full size from the start, so that a commit
changes no size and the disk has one thing to write. A frame that a kill cut off was never
acknowledged; it fails its checksum and ends the segment. The writer holds a lock (`flock`) on its
segment for as long as it may still append, so whoever gets the lock knows that no more will come.
`include.inference_log.journal_reader` reads segments, `include.inference_log.shipments` takes them
into the tables.
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Lock
from uuid import uuid4

import orjson

from include.files import sync
from include.inference_log.rows import LoggedPrediction

MAGIC = b"FDJ1"
HEADER = struct.Struct("<4sIII")
ID_BYTES = 16
SUFFIX = ".log"


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows of one commit, ready to be written."""

    data: bytes
    rows: int


def encode(rows: Sequence[LoggedPrediction]) -> Frame:
    """One frame of the rows."""
    ids = bytes.fromhex("".join([row.prediction_id for row in rows]))
    content = ids + orjson.dumps([row.as_entry() for row in rows])
    return Frame(
        HEADER.pack(MAGIC, len(content), zlib.crc32(content), len(rows)) + content, len(rows)
    )


class Journal:
    """The writing side of one process, in segments of `segment_bytes`.

    `prepare` may be called in another thread than the rest.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self.folder = folder
        self._size = segment_bytes
        self._segments: dict[str, _Segment] = {}
        self._spares: dict[str, _Segment] = {}

    def write(self, use_case: str, frame: Frame) -> int:
        """Write a frame, and give the file that must be synced before the frame is durable; raises
        `OSError` when it cannot be written.
        """
        segment = self._segments.get(use_case)
        if segment is None or segment.position + len(frame.data) > max(self._size, len(frame.data)):
            segment = self._begin(use_case)
        try:
            segment.write(frame.data)
        except BaseException:
            self.give_up(use_case)
            raise
        return segment.file

    def append(self, use_case: str, frame: Frame) -> None:
        """Write a frame and make it durable; raises `OSError` when it is not."""
        file = self.write(use_case, frame)
        try:
            os.fdatasync(file)
        except BaseException:
            self.give_up(use_case)
            raise

    def sync(self, use_case: str) -> None:
        """Make everything durable that was written and not synced; raises `OSError`.

        May be called in the thread of `prepare`.
        """
        segment = self._segments.get(use_case)
        if segment is not None:
            segment.sync()

    def give_up(self, use_case: str) -> None:
        """Go on in another segment: what the disk holds at the end of this one is unknown."""
        segment = self._segments.pop(use_case, None)
        if segment is not None:
            segment.end()

    def needs_spare(self, use_case: str) -> bool:
        """Whether the next segment should be prepared, since making one takes longer than an answer
        may.
        """
        segment = self._segments.get(use_case)
        return use_case not in self._spares and (
            segment is None or segment.position > self._size // 2
        )

    def prepare(self, use_case: str) -> None:
        """Make the next segment where one is needed; raises `OSError` when there is no room for
        it.
        """
        if self.needs_spare(use_case):
            self._spares[use_case] = self._made(use_case)

    def close(self) -> None:
        """End all segments: whoever reads them knows that they are complete."""
        for segments in (self._segments, self._spares):
            while segments:
                segments.popitem()[1].end()

    def _begin(self, use_case: str) -> _Segment:
        segment = self._spares.pop(use_case, None) or self._made(use_case)
        former = self._segments.pop(use_case, None)
        if former is not None:
            former.end()
        self._segments[use_case] = segment
        return segment

    def _made(self, use_case: str) -> _Segment:
        folder = self.folder / use_case
        folder.mkdir(parents=True, exist_ok=True)
        return _Segment(folder, self._size)


class _Segment:
    """One file while it is written."""

    def __init__(self, folder: Path, size: int) -> None:
        name = f"{time.time_ns() // 1000:016d}-{uuid4().hex[:12]}{SUFFIX}"
        aside = folder / f".{name}"
        self.file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self.position = 0
        self._ending, self._ended = Lock(), False
        try:
            # A reader that gets the lock takes the segment for complete: it must not see the file
            # before it is locked. So the file stays open and locked across the rename, which
            # `include.files` does not offer.
            flock(self.file, LOCK_EX | LOCK_NB)
            _write(self.file, bytes(size), 0)
            os.fsync(self.file)
            aside.rename(folder / name)
            sync(folder)
        except BaseException:
            os.close(self.file)
            aside.unlink(missing_ok=True)
            raise

    def write(self, data: bytes) -> None:
        """Write behind the last frame."""
        _write(self.file, data, self.position)
        self.position += len(data)

    def sync(self) -> None:
        """Make all frames durable."""
        with self._ending:
            if not self._ended:
                os.fdatasync(self.file)

    def end(self) -> None:
        """Give back what was not needed, and the lock."""
        # A segment that keeps its zeros is as good, and on a broken disk the lock must go all the
        # same.
        with self._ending:
            with suppress(OSError):
                os.ftruncate(self.file, self.position)
                os.fdatasync(self.file)
            os.close(self.file)
            self._ended = True


def _write(file: int, data: bytes, position: int) -> None:
    written = os.pwrite(file, data, position)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
