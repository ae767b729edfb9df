"""How rows of the journal get into a Delta table exactly once.

The table keeps one offset for all that the spool ever shipped (`include.inference_log.spool`), in
the same commit as the rows. So a shipment is written down in the spool before it begins: which
parts of which segments, and which numbers their rows get. A shipper that is killed leaves it there.
The next one reads the same parts, gives the same numbers, and the table takes them if it has not
taken them before.

What is damaged in a segment is noted in the spool when it is passed over. A segment with damage is
not removed but kept in `quarantine/` beside the journal, as it was, with what is lost in it; the
same goes into the spool as a gap of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from include.files import make_folder, sync, write
from include.inference_log.frames import Part
from include.inference_log.journal_reader import (
    Damage,
    is_complete,
    parts,
    parts_so_far,
    pieces,
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
    planned: list[Piece] = []
    damaged: dict[str, list[Damage]] = {}
    rows = 0
    shipped = spool.shipped_parts(use_case)
    for name, end in ends.places.items():
        start = shipped.get(name, 0)
        piece, damages = _next_piece(spool, ends.folder / name, (start, end), limit - rows)
        if piece is not None:
            planned.append(piece)
            damaged[name] = damages
            rows += piece.rows
    return spool.begin_shipment(use_case, planned, damaged) if planned else None


def _next_piece(
    spool: Spool, path: Path, stretch: tuple[int, int], limit: int
) -> tuple[Piece | None, list[Damage]]:
    """The next whole frames of a segment with about `limit` rows, and the damage before them."""
    start, end = stretch
    place, rows = start, 0
    damages: list[Damage] = []
    passed: list[Damage] = []
    if start >= end:
        return None, []
    for piece in pieces(path, start, spool.notes.rows_before(path.name, start)):
        if isinstance(piece, Damage):
            passed.append(piece)
            continue
        if piece.start >= end or rows >= limit:
            break
        place, rows = piece.end, rows + piece.rows
        damages, passed = damages + passed, []
    return (Piece(path.name, start, place, rows) if rows else None), damages


def rows_of(spool: Spool, shipment: Shipment) -> list[tuple[Any, ...]]:
    """The shipment's rows, numbered, as `Spool.read` gives those of the spool."""
    rows = []
    sequence = shipment.first
    for part in _parts_of(spool, shipment):
        entries = orjson.loads(part.entries)
        for identifier, entry in zip(part.identifiers(), entries, strict=True):
            rows.append((sequence, identifier, shipment.use_case, *entry))
            sequence += 1
    return rows


def end_shipment(spool: Spool, shipment: Shipment) -> None:
    """The table has its rows: remember their ids, for feedback, and forget where they were."""
    spool.end_shipment(
        shipment,
        [identifier for part in _parts_of(spool, shipment) for identifier in part.identifiers()],
    )


def remove_shipped(spool: Spool, use_case: str) -> None:
    """Remove the segments that are complete and of which everything is in the table; those with
    damage are kept aside, and what is lost in them is recorded.
    """
    folder, shipped = spool.journal / use_case, spool.shipped_parts(use_case)
    names = [path.name for path in segments(folder)]
    for name in sorted({*names, *shipped, *spool.notes.damaged_segments(use_case)}):
        path, place = folder / name, shipped.get(name, 0)
        if name in names:
            # In this order: once it is complete nothing can be written behind what is read.
            if not is_complete(path):
                continue
            before, written = spool.notes.rows_before(name, place), spool.notes.written_rows(name)
            rest = list(pieces(path, place, before, written))
            lost = [piece for piece in rest if isinstance(piece, Damage)]
            if len(lost) < len(rest):
                continue
            spool.notes.record_damage(use_case, {name: lost})
            _take_away(spool, use_case, path)
        _report(spool, use_case, name)
        spool.notes.forget(name)
    remove_left_over(folder)


def _take_away(spool: Spool, use_case: str, path: Path) -> None:
    """Remove a segment, or keep it aside when it is damaged."""
    damages = spool.notes.damage_of(path.name)
    if not damages:
        path.unlink(missing_ok=True)
        return
    folder = spool.quarantine / use_case
    make_folder(folder)
    report = {"use_case": use_case, "segment": path.name, "damage": [asdict(d) for d in damages]}
    content = orjson.dumps(report, option=orjson.OPT_INDENT_2)
    write(folder / f"{path.stem}.json", content, mode=0o600, durable=True)
    path.rename(folder / path.name)
    sync(folder)
    sync(path.parent)


def _report(spool: Spool, use_case: str, name: str) -> None:
    for damage in spool.notes.damage_of(name):
        logger.error(
            "%s: %s of the inference log are lost: bytes %d to %d of the journal's segment %s are"
            " damaged, from its row %d on. The segment is kept in %s; the prediction ids that are"
            " still readable stand beside it in %s.json.",
            use_case,
            f"{damage.rows} rows" if damage.exact else f"at least {damage.rows} rows",
            damage.start,
            damage.end,
            name,
            damage.first + 1,
            spool.quarantine / use_case,
            Path(name).stem,
        )


def _parts_of(spool: Spool, shipment: Shipment) -> Iterator[Part]:
    for piece in shipment.pieces:
        for part in parts(spool.journal / shipment.use_case / piece.segment, piece.start):
            if part.start >= piece.end:
                break
            yield part
