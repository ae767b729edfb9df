"""Reading what processes have written to the journal (`include.inference_log.journal`), while they
write and after they were killed.
"""

from __future__ import annotations

import os
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from include.inference_log.journal import HEADER, ID_BYTES, MAGIC, SUFFIX

SEGMENTS_KEPT = 8
"""Segments whose ids are held in memory: 1 to 2 MB each."""

SLACK_MILLISECONDS = 60_000
"""More than an id may be older than the segment that its row was written to."""

LEFT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Part:
    """One frame: its place in the segment, its ids (16 bytes each), its JSON list of rows, and how
    many bytes before it are no frame.
    """

    start: int
    end: int
    rows: int
    ids: bytes
    entries: bytes
    damaged: int


def segments(folder: Path) -> list[Path]:
    """The segments of one use case, in the order in which they were begun."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def parts(path: Path, start: int = 0) -> Iterator[Part]:
    """The whole frames from a place on. What a kill cut off ends them; what was damaged in their
    midst is passed over and told.

    For a segment that is complete, or a stretch of it that was whole before: of what is being
    written this may miss a frame.
    """
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    position, damaged = 0, 0
    while (part := _part(data, position, start, damaged)) is not None or (
        following := _next(data, position)
    ) > 0:
        if part is not None:
            yield part
            position, damaged = part.end - start, 0
        else:
            damaged += following - position
            position = following


def parts_so_far(path: Path, position: int) -> Iterator[Part]:
    """The same up to the first frame that is not whole, for a segment that is being written: what
    is not there yet comes later.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        while len(
            header := os.pread(file, HEADER.size, position)
        ) == HEADER.size and header.startswith(MAGIC):
            part = _part(
                header + os.pread(file, HEADER.unpack(header)[1], position + HEADER.size),
                0,
                position,
                0,
            )
            if part is None:
                return
            yield part
            position = part.end
    finally:
        os.close(file)


def _part(data: bytes, position: int, base: int, damaged: int) -> Part | None:
    """The frame at a position; None where there is no whole one."""
    first = position + HEADER.size
    if first > len(data):
        return None
    magic, length, checksum, rows = HEADER.unpack_from(data, position)
    last = first + length
    if (
        magic != MAGIC
        or last > len(data)
        or length < rows * ID_BYTES
        or zlib.crc32(memoryview(data)[first:last]) != checksum
    ):
        return None
    middle = first + rows * ID_BYTES
    return Part(base + position, base + last, rows, data[first:middle], data[middle:last], damaged)


def _next(data: bytes, position: int) -> int:
    """Where the next whole frame begins; -1 where there is none: the bytes in between were a frame
    once.
    """
    while (position := data.find(MAGIC, position + 1)) > 0:
        if _part(data, position, 0, 0) is not None:
            return position
    return -1


def is_complete(path: Path) -> bool:
    """Whether nobody can append to a segment any more: its writer has ended it, or was killed."""
    with path.open("rb") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return False
        return True


def remove_left_over(folder: Path) -> None:
    """Take away segments that a kill kept from ever beginning."""
    for path in folder.glob(f".*{SUFFIX}"):
        if path.stat().st_mtime < time.time() - LEFT_SECONDS:
            path.unlink(missing_ok=True)


class JournaledIds:
    """Which prediction ids the journal of a use case holds; reads each segment once, and what is
    new of it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: OrderedDict[str, tuple[int, set[bytes]]] = OrderedDict()

    def among(self, identifiers: Iterable[str]) -> set[str]:
        """Those of the ids (32 hex digits) that are there."""
        bytes_of = {identifier: bytes.fromhex(identifier) for identifier in identifiers}
        present: set[str] = set()
        for path in segments(self._folder) if bytes_of else ():
            first, last = int(path.name.split("-")[0]) // 1000 - SLACK_MILLISECONDS, _modified(path)
            candidates = [
                identifier for identifier in bytes_of if first <= int(identifier[:12], 16) <= last
            ]
            if candidates:
                segment_ids = self._ids(path)
                present.update(
                    identifier for identifier in candidates if bytes_of[identifier] in segment_ids
                )
        return present

    def _ids(self, path: Path) -> set[bytes]:
        position, ids = self._read.pop(path.name, (0, set()))
        try:
            for part in parts_so_far(path, position):
                position = part.end
                ids.update(part.ids[at : at + ID_BYTES] for at in range(0, len(part.ids), ID_BYTES))
        except FileNotFoundError:
            pass  # Shipped meanwhile: its ids are in the spool now.
        self._read[path.name] = position, ids
        while len(self._read) > SEGMENTS_KEPT:
            self._read.popitem(last=False)
        return ids


def _modified(path: Path) -> int:
    """Milliseconds since 1970, a second later than the last write at the latest."""
    try:
        return path.stat().st_mtime_ns // 1_000_000 + 1000
    except FileNotFoundError:
        return 0


class RowCount:
    """How many rows the segments of a use case hold; reads the frames' headers, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counted: dict[str, tuple[int, int]] = {}

    def by_segment(self) -> dict[str, int]:
        """Rows by segment."""
        counted = {}
        for path in segments(self._folder):
            try:
                counted[path.name] = _walk(path, *self._counted.get(path.name, (0, 0)))
            except FileNotFoundError:
                continue
        self._counted = counted
        return {name: rows for name, (_, rows) in counted.items()}


def _walk(path: Path, position: int, rows: int) -> tuple[int, int]:
    """The place behind the last frame and the rows before it."""
    file = os.open(path, os.O_RDONLY)
    try:
        while len(header := os.pread(file, HEADER.size, position)) == HEADER.size:
            magic, length, _, count = HEADER.unpack(header)
            if magic != MAGIC:
                break
            position, rows = position + HEADER.size + length, rows + count
    finally:
        os.close(file)
    return position, rows
