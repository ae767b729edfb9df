"""Damage to the journal: what is whole is shipped once, what is not is counted, named and kept."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path

import orjson
import pytest

from include.inference_log.frames import (
    FIRST_HEADER,
    FIRST_MAGIC,
    HEADER,
    Frame,
    encode,
    mark,
)
from include.inference_log.journal import EndedSegment
from include.inference_log.journal_reader import Damage, RowCount, parts, pieces
from include.inference_log.log import Spool, damaged_rows, gaps_table, log_table, ship, spool_path
from include.inference_log.rows import LoggedPrediction
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import answered

CASE = "flight_delays"
FRAMES, ROWS = 12, 2
SIZE = 16_000
SEGMENTS, HITS, CUTS = 200, 5, 0.1


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def content_of(frames: list[Frame], *, killed: bool = False) -> bytes:
    """A segment as its writer leaves it."""
    content = mark(SIZE)
    for number, frame in enumerate(frames):
        content += frame.bytes_after(number * ROWS)
    return content.ljust(SIZE, b"\0") if killed else content + mark(len(frames) * ROWS)


def first_format(rows: list[LoggedPrediction], *, counted: int | None = None) -> bytes:
    """A frame as the first release has written it."""
    content = encode(rows).content
    number = len(rows) if counted is None else counted
    return FIRST_HEADER.pack(FIRST_MAGIC, len(content), zlib.crc32(content), number) + content


def bounds(frames: list[Frame]) -> list[tuple[int, int]]:
    """Where the frames begin and end in a segment."""
    places, start = [], HEADER.size
    for frame in frames:
        places.append((start, start + frame.size))
        start += frame.size
    return places


def damaged(content: bytes, frames: list[Frame], chance: random.Random) -> tuple[bytes, set[int]]:
    """The content with some bits flipped and perhaps its end cut off, and the frames that this
    hits.
    """
    places, changed, hit = bounds(frames), bytearray(content), set()
    for _ in range(HITS):
        place = chance.randrange(HEADER.size, places[-1][1])
        if chance.random() < CUTS:
            changed = changed[:place]
            hit |= {number for number, (_, stop) in enumerate(places) if stop > place}
        elif place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
            hit |= {number for number, (start, stop) in enumerate(places) if start <= place < stop}
    return bytes(changed), hit


def test_a_thousand_flips_and_cuts_cost_only_what_they_hit_and_each_row_is_named(
    home: Settings,
) -> None:
    chance, spool = random.Random(1), Spool(spool_path(home))
    folder = spool.journal / CASE
    folder.mkdir(parents=True)
    whole: set[str] = set()
    lost: dict[str, set[int]] = {}
    notes = []
    for number in range(SEGMENTS):
        batches = [answered(ROWS) for _ in range(FRAMES)]
        frames = [encode(batch) for batch in batches]
        content, hit = damaged(content_of(frames), frames, chance)
        name = f"{number:016d}-x.log"
        (folder / name).write_bytes(content)
        notes.append(EndedSegment(CASE, name, FRAMES * ROWS))
        lost[name] = {frame * ROWS + row for frame in hit for row in range(ROWS)}
        whole |= {
            row.prediction_id
            for frame, batch in enumerate(batches)
            if frame not in hit
            for row in batch
        }
    spool.notes.note_ended(notes)
    ship(home, CASE)
    tables = TableStore(home.tables_uri)
    shipped = tables.read(log_table(CASE))["prediction_id"].to_list()
    assert sorted(shipped) == sorted(whole)
    assert {name: _named(spool, name) for name in lost} == lost
    total = sum(map(len, lost.values()))
    assert tables.read(gaps_table(CASE))["rows"].sum() == damaged_rows(home, CASE) == total > 1000
    assert list(folder.glob("*.log")) == []
    assert len(list((spool.quarantine / CASE).glob("*.log"))) == SEGMENTS
    assert ship(home, CASE)["shipped"] == 0
    assert tables.read(gaps_table(CASE))["rows"].sum() == total


def _named(spool: Spool, name: str) -> set[int]:
    """The lost rows by their number in the segment, as the report beside it names them."""
    path = spool.quarantine / CASE / name
    report = json.loads(path.with_suffix(".json").read_text())
    return {damage["first"] + row for damage in report["damage"] for row in range(damage["rows"])}


@pytest.mark.parametrize("killed", [False, True])
def test_flips_are_counted_exactly_without_the_writer_s_note(tmp_path: Path, killed: bool) -> None:
    chance, path = random.Random(2), tmp_path / "0-x.log"
    frames = [encode(answered(ROWS)) for _ in range(FRAMES)]
    content = content_of(frames, killed=killed)
    places = bounds(frames)
    for _ in range(500):
        place = chance.randrange(len(content))
        flipped = bytearray(content)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(flipped))
        hit = [number for number, (start, end) in enumerate(places) if start <= place < end]
        found = list(pieces(path))
        damages = [piece for piece in found if isinstance(piece, Damage)]
        assert [(damage.first, damage.rows, damage.exact) for damage in damages] == [
            (number * ROWS, ROWS, True) for number in hit
        ]
        assert len(found) - len(damages) == FRAMES - len(hit)


def test_the_ids_of_a_damaged_frame_are_named_where_they_are_whole(tmp_path: Path) -> None:
    path, rows = tmp_path / "0-x.log", answered(ROWS)
    content = bytearray(content_of([encode(rows), encode(answered(ROWS))]))
    content[HEADER.size * 2 + 40] ^= 1
    path.write_bytes(bytes(content))
    (damage, _) = pieces(path)
    assert isinstance(damage, Damage)
    assert damage.identifiers == tuple(row.prediction_id for row in rows)


@pytest.mark.parametrize("killed", [False, True])
def test_a_tail_that_is_cut_off_never_ends_a_segment_in_silence(
    home: Settings, killed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(spool_path(home))
    folder = spool.journal / CASE
    folder.mkdir(parents=True)
    frames = [encode(answered(ROWS)) for _ in range(FRAMES)]
    content = content_of(frames, killed=killed)
    (folder / "0-x.log").write_bytes(content[: bounds(frames)[1][1]])  # between two frames
    assert ship(home, CASE)["shipped"] == 2 * ROWS
    assert "at least 0 rows of the inference log are lost" in caplog.text
    gaps = TableStore(home.tables_uri).read(gaps_table(CASE))
    place = bounds(frames)[1][1]
    text = f"damaged: bytes {place} to {place} of the segment 0-x.log, perhaps more rows"
    assert gaps["reason"].to_list() == [text]
    assert (spool.quarantine / CASE / "0-x.log").exists()


def test_what_a_killed_writer_leaves_is_no_damage(home: Settings) -> None:
    spool = Spool(spool_path(home))
    folder = spool.journal / CASE
    folder.mkdir(parents=True)
    (folder / "0-x.log").write_bytes(content_of([encode(answered(ROWS))], killed=True))
    (folder / "1-x.log").write_bytes(content_of([], killed=True))
    (folder / "2-x.log").write_bytes(bytes(SIZE))  # an unused segment of the first release
    assert ship(home, CASE)["shipped"] == ROWS
    assert list(folder.glob("*")) == []
    assert damaged_rows(home, CASE) == 0
    assert not spool.quarantine.exists()


def test_segments_of_the_first_release_are_read_and_a_bit_in_their_count_stops_nothing(
    home: Settings,
) -> None:
    spool, batches = Spool(spool_path(home)), [answered(3) for _ in range(3)]
    folder = spool.journal / CASE
    folder.mkdir(parents=True)
    content = first_format(batches[0]) + first_format(batches[1], counted=2)
    content += first_format(batches[2], counted=7)
    (folder / "0-x.log").write_bytes(content.ljust(SIZE, b"\0"))
    assert sum(RowCount(folder).by_segment().values()) > 0
    assert ship(home, CASE)["shipped"] == 9
    logged = TableStore(home.tables_uri).read(log_table(CASE))["prediction_id"]
    assert sorted(logged) == sorted(row.prediction_id for batch in batches for row in batch)
    assert damaged_rows(home, CASE) == 0


def test_the_number_of_rows_is_inside_the_checksum(tmp_path: Path) -> None:
    frame = encode(answered(ROWS))
    content = bytearray(content_of([frame]))
    struct.pack_into("<I", content, HEADER.size + 16, ROWS + 1)
    path = tmp_path / "0-x.log"
    path.write_bytes(bytes(content))
    assert list(parts(path)) == []
    assert orjson.loads(frame.content[ROWS * 16 :])
