"""The journal: where the endpoint writes what it is about to answer, with one system call for all
rows of a moment.

A process appends to segments of its own, in one folder per use case:
`journal/<use_case>/<microseconds>-<random>.log`. A segment is a sequence of frames
(`include.inference_log.frames`), each the rows of one commit. Behind the last frame there are
zeros: a segment has its full size from the start, so that a commit changes no size and the disk has
one thing to write. A frame that a kill cut off was never acknowledged. The writer holds a lock
(`flock`) on its segment for as long as it may still append, so whoever gets the lock knows that no
more will come.
`include.inference_log.journal_reader` reads segments, `include.inference_log.shipments` takes them
into the tables.
"""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from uuid import uuid4

from include.files import make_folder, sync
from include.inference_log.frames import Frame, mark

SUFFIX = ".log"


class EndedSegment(NamedTuple):
    """What a writer says about a segment that it will not write any more."""

    use_case: str
    name: str
    rows: int


class Journal:
    """The writing side of one process, in segments of `segment_bytes`.

    `prepare` may be called in another thread than the rest.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self.folder = folder
        self._size = segment_bytes
        self._segments: dict[str, _Segment] = {}
        self._spares: dict[str, _Segment] = {}
        self._ended: deque[EndedSegment] = deque()

    def write(self, use_case: str, frame: Frame) -> int:
        """Write a frame, and give the file that must be synced before the frame is durable; raises
        `OSError` when it cannot be written.
        """
        segment = self._segments.get(use_case)
        if segment is None or segment.has_no_room(frame, self._size):
            segment = self._begin(use_case)
        try:
            segment.write(frame)
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
            self._end(use_case, segment)

    def take_ended(self) -> list[EndedSegment]:
        """The segments that were ended since the last call; may be made in the thread of
        `prepare`.
        """
        return [self._ended.popleft() for _ in range(len(self._ended))]

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
                self._end(*segments.popitem())

    def _begin(self, use_case: str) -> _Segment:
        segment = self._spares.pop(use_case, None) or self._made(use_case)
        former = self._segments.pop(use_case, None)
        if former is not None:
            self._end(use_case, former)
        self._segments[use_case] = segment
        return segment

    def _end(self, use_case: str, segment: _Segment) -> None:
        segment.end()
        self._ended.append(EndedSegment(use_case, segment.name, segment.rows))

    def _made(self, use_case: str) -> _Segment:
        folder = self.folder / use_case
        make_folder(folder)
        return _Segment(folder, self._size)


class _Segment:
    """One file while it is written."""

    def __init__(self, folder: Path, size: int) -> None:
        self.name = name = f"{time.time_ns() // 1000:016d}-{uuid4().hex[:12]}{SUFFIX}"
        aside = folder / f".{name}"
        self.file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self.position, self.rows = 0, 0
        self._ending, self._ended = Lock(), False
        try:
            # A reader that gets the lock takes the segment for complete: it must not see the file
            # before it is locked. So the file stays open and locked across the rename, which
            # `include.files` does not offer.
            flock(self.file, LOCK_EX | LOCK_NB)
            begin = mark(size)
            _write(self.file, begin.ljust(size, b"\0"), 0)
            self.position = len(begin)
            os.fsync(self.file)
            aside.rename(folder / name)
            sync(folder)
        except BaseException:
            os.close(self.file)
            aside.unlink(missing_ok=True)
            raise

    def has_no_room(self, frame: Frame, size: int) -> bool:
        """Whether a frame belongs into the next segment; one that is larger than any segment makes
        an empty one larger.
        """
        return self.rows > 0 and self.position + frame.size > size

    def write(self, frame: Frame) -> None:
        """Write behind the last frame."""
        _write(self.file, frame.bytes_after(self.rows), self.position)
        self.position += frame.size
        self.rows += frame.rows

    def sync(self) -> None:
        """Make all frames durable."""
        with self._ending:
            if not self._ended:
                os.fdatasync(self.file)

    def end(self) -> None:
        """Say that no more comes, give back what was not needed, and the lock."""
        # A segment that keeps its zeros is as good, and on a broken disk the lock must go all the
        # same.
        with self._ending:
            with suppress(OSError):
                end = mark(self.rows)
                _write(self.file, end, self.position)
                os.ftruncate(self.file, self.position + len(end))
                os.fdatasync(self.file)
            os.close(self.file)
            self._ended = True


def _write(file: int, data: bytes, position: int) -> None:
    written = os.pwrite(file, data, position)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
