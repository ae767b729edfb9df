"""Reading what processes have written to the journal (`include.inference_log.journal`), while they
write and after they were killed.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from include.inference_log.frames import (
    HEADER,
    ID_BYTES,
    MAGIC,
    Part,
    count_rows,
    header_at,
    identifiers,
    next_part,
    part_at,
)
from include.inference_log.journal import SUFFIX

SEGMENTS_KEPT = 8
"""Segments whose ids are held in memory: 1 to 2 MB each."""

LEFT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a segment that held frames and does not any more.

    `rows` are lost in it, the first of them row `first` of the segment. `exact` is false where
    neither a later frame nor the writer says how many there were: then there are at least `rows`.
    `identifiers` are the ids that are still readable.
    """

    start: int
    end: int
    first: int
    rows: int
    exact: bool
    identifiers: tuple[str, ...] = ()


def segments(folder: Path) -> list[Path]:
    """The segments of one use case, in the order in which they were begun."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def pieces(
    path: Path, start: int = 0, before: int = 0, written: int | None = None
) -> Iterator[Part | Damage]:
    """What a segment that nobody writes any more holds from a place on: whole frames, and what is
    damaged between and behind them.

    `before` are its rows before that place, `written` all of its rows where its writer has noted
    them. Marks are not given. Of a segment that is being written this may take for damage what is
    not there yet.
    """
    data = path.read_bytes()
    position, ended = start, False
    while (place := _whole_from(data, position)) is not None:
        part = part_at(data, place)
        if part is None:  # `_whole_from` has just read it there
            return
        # The mark at the start of a segment tells its size, every other frame the rows before it.
        first = part.first if place else None
        if place > position:
            damage = _damage(data, position, place, before, first)
            before = damage.first + damage.rows
            if damage.rows or not damage.exact:
                yield damage
        if part.rows:
            yield part
        ended = not part.rows and first is not None
        position, before = part.end, (before if first is None else first) + part.rows
    if not ended:
        yield from _damaged_tail(data, position, before, written)


def _whole_from(data: bytes, position: int) -> int | None:
    """Where the first whole frame at or behind a position begins."""
    return position if part_at(data, position) is not None else next_part(data, position)


def _damaged_tail(data: bytes, position: int, before: int, written: int | None) -> Iterator[Damage]:
    """What is lost behind the last whole frame of a segment that has no whole mark at its end."""
    end = max(position, len(data.rstrip(b"\0")))
    damage = _damage(data, position, end, before, written)
    if written is None and _is_cut(data) and len(data) - position != HEADER.size:
        damage = replace(damage, exact=False)
    if damage.rows or not damage.exact:
        yield damage


def _is_cut(data: bytes) -> bool:
    """Whether a segment is smaller than it was made."""
    begin = header_at(data)
    return begin is not None and begin.rows == 0 and len(data) < (begin.first or 0)


def _damage(data: bytes, start: int, end: int, before: int, after: int | None) -> Damage:
    """The damage of a stretch; `after` are the segment's rows before what follows it, None where
    only the stretch itself can say how many it holds.
    """
    rows, position = 0, start
    names: list[str] = []
    while position < end and (header := header_at(data, position)) is not None:
        ids = data[position + header.size :][: header.rows * ID_BYTES]
        if header.ids_are_whole(ids):
            names.extend(identifiers(ids))
        rows += header.rows
        position += header.frame_size
    if position < end and (counted := count_rows(data[position + HEADER.size : end])) is not None:
        # The header is damaged and the content is not.
        rows, position = rows + counted, end
    names_read = tuple(names)
    if after is not None:
        return Damage(start, end, before, max(after - before, 0), True, names_read)
    # A damaged mark at the end hides no row.
    is_mark = len(data) - position == HEADER.size
    is_unwritten = position <= len(data) and not _looks_written(data[position:][:ID_BYTES])
    exact = position == end or is_mark or is_unwritten
    return Damage(start, end, before, rows, exact, names_read)


def _looks_written(data: bytes) -> bool:
    """Whether a frame may have begun here: one whose start is damaged still has some of it."""
    return sum(byte == magic for byte, magic in zip(data, MAGIC, strict=False)) > 1


def parts(path: Path, start: int = 0) -> Iterator[Part]:
    """The whole frames with rows from a place on; what is damaged in between is passed over."""
    return (part for part in pieces(path, start) if isinstance(part, Part))


def parts_so_far(path: Path, position: int) -> Iterator[Part]:
    """The same up to the first frame that is not whole, for a segment that is being written: what
    is not there yet comes later.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        while (header := header_at(os.pread(file, HEADER.size, position))) is not None and (
            part := part_at(os.pread(file, header.frame_size, position), 0, position)
        ) is not None:
            if part.rows:
                yield part
            position = part.end
    finally:
        os.close(file)


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


@dataclass(slots=True)
class _SegmentIds:
    """What is known of a segment's ids: up to which byte they were read, the smallest and the
    largest, and all of them where they are in memory.
    """

    position: int = 0
    smallest: bytes = b"\xff" * ID_BYTES
    largest: bytes = b""
    ids: set[bytes] | None = None

    def read_on(self, path: Path) -> None:
        """Take in what was written since; a segment that is gone was shipped, and its ids are in
        the spool.
        """
        with suppress(FileNotFoundError):
            for part in parts_so_far(path, self.position):
                new = [part.ids[at : at + ID_BYTES] for at in range(0, len(part.ids), ID_BYTES)]
                self.position = part.end
                self.smallest = min(self.smallest, *new)
                self.largest = max(self.largest, *new)
                if self.ids is not None:
                    self.ids.update(new)


class JournaledIds:
    """Which prediction ids the journal of a use case holds; reads each segment once, and what is
    new of it.

    Ids begin with the time of a clock that may be set back. Where an id can lie is told by the ids
    of a segment, and by no clock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, _SegmentIds] = {}
        self._loaded: OrderedDict[str, None] = OrderedDict()

    def among(self, identifiers: Iterable[str]) -> set[str]:
        """Those of the ids (32 hex digits) that are there."""
        bytes_of = {identifier: bytes.fromhex(identifier) for identifier in identifiers}
        present: set[str] = set()
        paths = segments(self._folder) if bytes_of else []
        for path in paths:
            known = self._known.setdefault(path.name, _SegmentIds())
            known.read_on(path)
            candidates = [
                identifier
                for identifier, content in bytes_of.items()
                if known.smallest <= content <= known.largest
            ]
            if candidates:
                ids = self._ids(path)
                present.update(name for name in candidates if bytes_of[name] in ids)
        if paths:
            names = {path.name for path in paths}
            self._known = {name: known for name, known in self._known.items() if name in names}
        return present

    def _ids(self, path: Path) -> set[bytes]:
        known = self._known[path.name]
        if known.ids is None:
            known.ids, known.position = set(), 0
            known.read_on(path)
        self._loaded[path.name] = None
        self._loaded.move_to_end(path.name)
        while len(self._loaded) > SEGMENTS_KEPT:
            former = self._known.get(self._loaded.popitem(last=False)[0])
            if former is not None:
                former.ids = None
        return known.ids


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
        while (header := header_at(os.pread(file, HEADER.size, position))) is not None:
            position, rows = position + header.frame_size, rows + header.rows
    finally:
        os.close(file)
    return position, rows
