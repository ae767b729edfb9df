"""Frames: the bytes in which a segment of the journal holds its rows.

A frame is the rows of one commit:

    header, 28 bytes: magic FDJ2 | length of what follows it | CRC-32 of the ids | CRC-32 of the
                      rows | number of rows | rows of the segment before it | CRC-32 of the header
    the rows' ids, 16 bytes each | a JSON list of the rows

Everything is inside a checksum, and every frame knows how many rows came before it: whatever is
damaged between two whole frames, the second one says how many rows that were. A frame without rows
is a mark. The one at the start of a segment has the segment's size in the place of the rows before
it; the one at the end says that its writer has ended it, and how many rows it has.

Segments of the first format (magic FDJ1, 16 bytes of header: length, CRC-32 of the rest, number of
rows) are read too. Their number of rows lies outside the checksum and is taken from the content.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from include.inference_log.rows import LoggedPrediction

MAGIC = b"FDJ2"
HEADER = struct.Struct("<4sIIIIII")
FIRST_MAGIC = b"FDJ1"
FIRST_HEADER = struct.Struct("<4sIII")
ID_BYTES = 16
LIST_OF_ROWS = b"[["


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows of one commit, ready to be written behind any number of others."""

    content: bytes
    ids_checksum: int
    entries_checksum: int
    rows: int

    @property
    def size(self) -> int:
        """Bytes that it takes in a segment."""
        return HEADER.size + len(self.content)

    def bytes_after(self, rows_before: int) -> bytes:
        """What is written where the segment has `rows_before` rows."""
        return _header(self, rows_before) + self.content


@dataclass(frozen=True, slots=True)
class Header:
    """A header whose checksum holds. `first` are the rows of the segment before the frame, None in
    the first format, which has no checksum of a header.
    """

    size: int
    length: int
    checksums: tuple[int, ...]
    rows: int
    first: int | None

    @property
    def frame_size(self) -> int:
        """Bytes of the frame with its header."""
        return self.size + self.length

    def ids_are_whole(self, ids: bytes) -> bool:
        """Whether these are the ids; false in the first format, which cannot say it."""
        return self.first is not None and zlib.crc32(ids) == self.checksums[0]


@dataclass(frozen=True, slots=True)
class Part:
    """One whole frame: its place in the segment, its ids (16 bytes each), its JSON list of rows,
    and how many rows of the segment are before it (None where the format does not say).
    """

    start: int
    end: int
    rows: int
    ids: bytes
    entries: bytes
    first: int | None

    def identifiers(self) -> Iterator[str]:
        """The prediction ids, 32 hex digits each."""
        return identifiers(self.ids)


def encode(rows: Sequence[LoggedPrediction]) -> Frame:
    """One frame of the rows."""
    ids = bytes.fromhex("".join([row.prediction_id for row in rows]))
    entries = orjson.dumps([row.as_entry() for row in rows])
    return Frame(ids + entries, zlib.crc32(ids), zlib.crc32(entries), len(rows))


def mark(number: int) -> bytes:
    """A frame without rows."""
    return _header(Frame(b"", 0, 0, 0), number)


def _header(frame: Frame, number: int) -> bytes:
    checked = HEADER.pack(
        MAGIC,
        len(frame.content),
        frame.ids_checksum,
        frame.entries_checksum,
        frame.rows,
        number,
        0,
    )[:-4]
    return checked + struct.pack("<I", zlib.crc32(checked))


def header_at(data: bytes, position: int = 0) -> Header | None:
    """The header at a position; None where there is no whole one."""
    if data.startswith(MAGIC, position) and position + HEADER.size <= len(data):
        _, length, ids, entries, rows, first, checksum = HEADER.unpack_from(data, position)
        whole = zlib.crc32(memoryview(data)[position : position + HEADER.size - 4]) == checksum
        return Header(HEADER.size, length, (ids, entries), rows, first) if whole else None
    if data.startswith(FIRST_MAGIC, position) and position + FIRST_HEADER.size <= len(data):
        _, length, checksum, rows = FIRST_HEADER.unpack_from(data, position)
        return Header(FIRST_HEADER.size, length, (checksum,), min(rows, length // ID_BYTES), None)
    return None


def part_at(data: bytes, position: int = 0, base: int = 0) -> Part | None:
    """The frame at a position of data that lie at `base` in the segment; None where there is no
    whole one.
    """
    header = header_at(data, position)
    if header is None or position + header.frame_size > len(data):
        return None
    start, content = base + position, memoryview(data)[position + header.size :][: header.length]
    rows = header.rows
    if header.first is None:
        if zlib.crc32(content) != header.checksums[0] or (counted := count_rows(content)) is None:
            return None
        rows = counted
    ids, entries = bytes(content[: rows * ID_BYTES]), bytes(content[rows * ID_BYTES :])
    if header.first is not None and (zlib.crc32(ids), zlib.crc32(entries)) != header.checksums:
        return None
    return Part(start, start + header.frame_size, rows, ids, entries, header.first)


def next_part(data: bytes, position: int) -> int | None:
    """Where the next whole frame begins behind a position; None where there is none."""
    while True:
        places = [data.find(magic, position + 1) for magic in (MAGIC, FIRST_MAGIC)]
        if max(places) < 0:
            return None
        position = min(place for place in places if place >= 0)
        if part_at(data, position) is not None:
            return position


def count_rows(content: bytes | memoryview) -> int | None:
    """How many rows a frame's content holds, by the content itself; None where it holds none."""
    content, position = bytes(content), -1
    while (position := content.find(LIST_OF_ROWS, position + 1)) >= 0:
        if position % ID_BYTES:
            continue
        try:
            entries = orjson.loads(content[position:])
        except orjson.JSONDecodeError:
            continue
        if len(entries) == position // ID_BYTES:
            return len(entries)
    return None


def identifiers(ids: bytes) -> Iterator[str]:
    """Ids of 16 bytes each as 32 hex digits."""
    text = ids.hex()
    return (text[at : at + 32] for at in range(0, len(text), 32))
