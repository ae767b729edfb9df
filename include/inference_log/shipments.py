"""How rows of the journal get into a Delta table exactly once.

The table keeps one offset for all that the spool ever shipped (`include.inference_log.spool`), in
the same commit as the rows. So a shipment is written down in the spool before it begins: which
parts of which segments, and which numbers their rows get. A shipper that is killed leaves it there.
The next one reads the same parts, gives the same numbers, and the table takes them if it has not
taken them before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from include.inference_log.journal_reader import (
    Part,
    is_complete,
    parts,
    parts_so_far,
    remove_left_over,
    segments,
)
from include.inference_log.spool import Piece, Shipment, Spool

logger = logging.getLogger("flightdeck.log")


@dataclass(frozen=True)
class Ends:
    """Where the segments of a use case ended at a moment, by their name: a shipper goes no further,
    however much is written meanwhile.
    """

    folder: Path
    places: Mapping[str, int]


def ends_now(spool: Spool, use_case: str) -> Ends:
    """What there is to ship at this moment.

    Damage is passed over only in a segment that nobody writes any more: of one that is being
    written, a reader may see a frame before the one in front of it.
    """
    folder, shipped = spool.journal / use_case, spool.shipped_parts(use_case)
    places = {}
    for path in segments(folder):
        start = shipped.get(path.name, 0)
        whole = parts(path, start) if is_complete(path) else parts_so_far(path, start)
        places[path.name] = max([start, *(part.end for part in whole)])
    return Ends(folder, places)


def next_shipment(spool: Spool, use_case: str, ends: Ends, limit: int) -> Shipment | None:
    """The shipment that a killed shipper has left, or one of the next rows, about `limit` at the
    most; None when all is shipped.
    """
    left = spool.open_shipment(use_case)
    if left is not None:
        return left
    pieces: list[Piece] = []
    rows = 0
    shipped = spool.shipped_parts(use_case)
    for name, end in ends.places.items():
        start, place, rows_before = shipped.get(name, 0), shipped.get(name, 0), 0
        for part in parts(ends.folder / name, start):
            if part.start >= end or rows >= limit:
                break
            if part.damaged:
                logger.error(
                    "%s: %d bytes before byte %d are damaged; their rows are lost",
                    ends.folder / name,
                    part.damaged,
                    part.start,
                )
            place, rows_before, rows = part.end, rows_before + part.rows, rows + part.rows
        if place > start:
            pieces.append(Piece(name, start, place, rows_before))
    return spool.begin_shipment(use_case, pieces) if pieces else None


def rows_of(spool: Spool, shipment: Shipment) -> list[tuple[Any, ...]]:
    """The shipment's rows, numbered, as `Spool.read` gives those of the spool."""
    rows = []
    sequence = shipment.first
    for part in _parts_of(spool, shipment):
        entries = orjson.loads(part.entries)
        for identifier, entry in zip(_identifiers(part), entries, strict=True):
            rows.append((sequence, identifier, shipment.use_case, *entry))
            sequence += 1
    return rows


def end_shipment(spool: Spool, shipment: Shipment) -> None:
    """The table has its rows: remember their ids, for feedback, and forget where they were."""
    spool.end_shipment(
        shipment,
        [identifier for part in _parts_of(spool, shipment) for identifier in _identifiers(part)],
    )


def remove_shipped(spool: Spool, use_case: str) -> None:
    """Remove the segments that are complete and of which everything is in the table."""
    folder = spool.journal / use_case
    for name, place in spool.shipped_parts(use_case).items():
        path = folder / name
        # In this order: once it is complete nothing can be written behind what is read.
        if path.exists() and (not is_complete(path) or next(parts(path, place), None) is not None):
            continue
        path.unlink(missing_ok=True)
        spool.forget_segment(name)
    for path in segments(folder):
        if (
            path.name not in spool.shipped_parts(use_case)
            and is_complete(path)
            and next(parts(path), None) is None
        ):
            path.unlink(missing_ok=True)
    remove_left_over(folder)


def _parts_of(spool: Spool, shipment: Shipment) -> Iterator[Part]:
    for piece in shipment.pieces:
        for part in parts(spool.journal / shipment.use_case / piece.segment, piece.start):
            if part.start >= piece.end:
                break
            yield part


def _identifiers(part: Part) -> Iterator[str]:
    text = part.ids.hex()
    return (text[at : at + 32] for at in range(0, len(text), 32))
