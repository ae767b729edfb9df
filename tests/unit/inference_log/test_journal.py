"""The journal: what was appended is read back by whoever may read it, and nothing else, whatever
happened to the writer or the file.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson
import pytest

from include.inference_log import journal_reader
from include.inference_log import log as inference_log
from include.inference_log.frames import HEADER, encode
from include.inference_log.journal import Journal
from include.inference_log.journal_reader import (
    JournaledIds,
    RowCount,
    is_complete,
    parts,
    parts_so_far,
    segments,
)
from include.inference_log.log import ship, ship_feedback, spool_path
from include.inference_log.rows import prediction_ids
from include.inference_log.shipments import ends_now, next_shipment, rows_of
from include.inference_log.writer import LogWriter
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import Writer, answered, log, served, told

CASE = "flight_delays"
SEGMENT = 30_000
TABLE = "flight_delays/inference_log"


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)}).model_copy(
        update={"log_segment_bytes": SEGMENT}
    )


@pytest.fixture
def folder(home: Settings) -> Path:
    return Path(home.home) / "journal"


def ids_in(path: Path) -> list[str]:
    return [part.ids.hex() for part in parts(path)]


def test_frames_are_read_back_in_their_order_with_every_value(folder: Path) -> None:
    writer, rows = Journal(folder, SEGMENT), answered(3, attributions={"dest": 0.25})
    writer.append(CASE, encode(rows[:1]))
    writer.append(CASE, encode(rows[1:]))
    (path,) = segments(folder / CASE)
    found = list(parts(path))
    assert [part.rows for part in found] == [1, 2]
    assert b"".join(part.ids for part in found).hex() == "".join(row.prediction_id for row in rows)
    assert [entry for part in found for entry in orjson.loads(part.entries)] == [
        row.as_entry() for row in rows
    ]
    assert list(parts_so_far(path, 0)) == found
    assert list(parts(path, found[0].end)) == found[1:]
    assert path.stat().st_size == SEGMENT
    assert not is_complete(path)
    writer.close()
    assert is_complete(path)
    assert path.stat().st_size == found[-1].end + HEADER.size


def test_a_full_segment_is_followed_by_the_next_and_the_prepared_one_is_taken(folder: Path) -> None:
    writer = Journal(folder, SEGMENT)
    writer.prepare(CASE)
    (prepared,) = segments(folder / CASE)
    assert not writer.needs_spare(CASE)
    frames = [encode(answered(10)) for _ in range(30)]
    for frame in frames:
        writer.append(CASE, frame)
    paths = segments(folder / CASE)
    assert paths[0] == prepared
    assert len(paths) >= 3
    assert [is_complete(path) for path in paths] == [True] * (len(paths) - 1) + [False]
    assert sum(part.rows for path in paths for part in parts(path)) == 300
    large = encode(answered(200))
    assert large.size > SEGMENT
    writer.append(CASE, large)
    assert sum(RowCount(folder / CASE).by_segment().values()) == 500
    writer.close()


@pytest.mark.parametrize("cut", [1, 3, HEADER.size, HEADER.size + 5, 400])
def test_a_frame_that_was_cut_off_ends_the_segment(folder: Path, cut: int) -> None:
    writer = Journal(folder, SEGMENT)
    whole = [encode(answered(2)) for _ in range(3)]
    for frame in whole:
        writer.append(CASE, frame)
    (path,) = segments(folder / CASE)
    last = list(parts(path))[-1]
    with path.open("r+b") as file:
        os.truncate(file.fileno(), last.start + cut)
        os.truncate(file.fileno(), SEGMENT)
    assert [part.rows for part in parts(path)] == [2, 2]
    assert [part.rows for part in parts_so_far(path, 0)] == [2, 2]
    writer.close()


def test_damage_in_the_midst_costs_its_frame_and_is_told(
    home: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    writer, batches = Writer(home), [answered(2) for _ in range(3)]
    for batch in batches:
        writer.write(batch)
    (path,) = segments(writer.spool.journal / CASE)
    middle = list(parts(path))[1]
    with path.open("r+b") as file:
        file.seek(middle.start + HEADER.size + 40)
        file.write(b"\xff")
    assert ship(home, CASE)["shipped"] == 2
    assert "damaged" not in caplog.text
    writer.close()
    assert ship(home, CASE)["shipped"] == 2
    assert (
        f"2 rows of the inference log are lost: bytes {middle.start} to {middle.end}" in caplog.text
    )
    logged = set(TableStore(home.tables_uri).read(TABLE)["prediction_id"])
    assert logged == {row.prediction_id for batch in (batches[0], batches[2]) for row in batch}


def test_a_frame_that_a_reader_sees_before_the_one_in_front_of_it_waits_for_it(
    home: Settings,
) -> None:
    writer, batches = Writer(home), [answered(2) for _ in range(3)]
    for batch in batches:
        writer.write(batch)
    (path,) = segments(writer.spool.journal / CASE)
    middle = list(parts(path))[1]
    with path.open("r+b") as file:
        file.seek(middle.start)
        late = file.read(middle.end - middle.start)
        file.seek(middle.start)
        file.write(bytes(len(late)))
        file.flush()
        assert ship(home, CASE)["total"] == 2
        file.seek(middle.start)
        file.write(late)
    assert ship(home, CASE)["total"] == 6
    assert set(tables_of(home)["prediction_id"]) == {
        row.prediction_id for batch in batches for row in batch
    }
    writer.close()


def test_after_a_failed_write_the_next_frame_is_taken_elsewhere(home: Settings) -> None:
    writer = Writer(home)
    first = writer.write(answered(1))
    segment = writer.journal._segments[CASE]
    segment.file, kept = os.open(os.devnull, os.O_RDONLY), segment.file
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.journal.append(CASE, encode(answered(1)))
    os.close(kept)
    second = writer.write(answered(1))
    assert ship(home, CASE)["shipped"] == first.rows + second.rows == 2
    writer.close()


def test_rows_of_the_journal_and_of_the_spool_get_numbers_that_only_grow(home: Settings) -> None:
    writer = Writer(home)
    order: list[str] = []
    for number in range(6):
        rows = answered(2)
        order += [row.prediction_id for row in rows]
        writer.write(rows) if number % 2 else writer.spool.append(rows)
        assert ship(home, CASE)["shipped"] == 2
    frame = TableStore(home.tables_uri).read(TABLE).sort("sequence")
    assert frame["sequence"].to_list() == list(range(1, 13))
    assert frame["prediction_id"].to_list() == order
    writer.close()


@pytest.mark.parametrize("moment", ["planned", "in the table"])
def test_a_shipment_that_was_broken_off_is_taken_up_and_its_rows_arrive_once(
    home: Settings, moment: str
) -> None:
    writer = Writer(home)
    writer.write(answered(3))
    writer.spool.append(answered(2))
    shipment = next_shipment(writer.spool, CASE, ends_now(writer.spool, CASE), 100)
    assert shipment is not None
    assert (shipment.first, shipment.last) == (3, 5)
    writer.write(answered(4))  # behind the plan
    if moment == "in the table":
        inference_log._move(
            writer.spool, TableStore(home.tables_uri), CASE, stream(), before=shipment.first
        )
        tables, rows = TableStore(home.tables_uri), rows_of(writer.spool, shipment)
        tables.append_once(
            TABLE, stream().frame(rows), consumer=f"spool-{writer.spool.id}", offset=shipment.last
        )
    assert ship(home, CASE)["total"] == 9
    frame = tables_of(home)
    assert frame["prediction_id"].n_unique() == frame.height == 9
    assert sorted(frame["sequence"].to_list()) == list(range(1, 10))
    assert writer.spool.open_shipment(CASE) is None
    writer.close()


def stream() -> inference_log._Stream:
    use_case = served()
    return inference_log._Stream(
        TABLE, inference_log.Spool.read, lambda rows: inference_log.log_frame(use_case, rows)
    )


def tables_of(home: Settings):  # type: ignore[no-untyped-def]
    return TableStore(home.tables_uri).read(TABLE)


def test_shipped_segments_are_removed_once_nobody_writes_them(home: Settings) -> None:
    writer = Writer(home)
    for _ in range(20):
        writer.write(answered(10))
    before = len(segments(writer.spool.journal / CASE))
    assert before > 2
    ship(home, CASE)
    (live,) = segments(writer.spool.journal / CASE)
    writer.write(answered(1))
    assert ship(home, CASE)["total"] == 201
    assert segments(writer.spool.journal / CASE) == [live]
    writer.close()
    assert ship(home, CASE) == {"shipped": 0, "total": 201, "offset": 201}
    assert segments(writer.spool.journal / CASE) == []
    assert Writer(home).spool.shipped_parts(CASE) == {}


def test_the_backlog_counts_what_is_not_in_the_table(home: Settings) -> None:
    writer = LogWriter(home, {CASE: served()})
    writer.tend()
    log(writer, answered(5))
    writer.append(CASE, answered(2), ())
    assert writer.backlog(CASE) == 7
    log(writer, answered(4))
    assert writer.backlog(CASE) == 11
    ship(home, CASE)
    assert writer.backlog(CASE) == 0
    log(writer, answered(1))
    assert writer.backlog(CASE) == 1
    writer.close()


def test_feedback_finds_answers_in_the_journal_of_any_process_and_after_they_were_shipped(
    home: Settings,
) -> None:
    writer, other = LogWriter(home, {CASE: served()}), Writer(home)
    writer.tend()
    mine, theirs, (stranger,) = answered(1), answered(2), prediction_ids(1)
    log(writer, mine)
    other.write(theirs)
    wanted = [mine[0].prediction_id, theirs[1].prediction_id]
    outcome = writer.append_feedback([told(name) for name in (*wanted, stranger)])
    assert (outcome.recorded, outcome.unknown) == (tuple(wanted), (stranger,))
    other.close()
    ship(home, CASE)
    late = theirs[0].prediction_id
    assert writer.append_feedback([told(late), told(wanted[0])]).recorded == (late,)
    assert ship_feedback(home, CASE)["total"] == 3
    writer.close()


def test_ids_are_known_by_the_use_case_that_answered(folder: Path) -> None:
    writer, rows = Journal(folder, SEGMENT), answered(3)
    writer.append("one", encode(rows[:2]))
    writer.append("two", encode(rows[2:]))
    known = JournaledIds(folder / "one")
    names = [row.prediction_id for row in rows]
    assert known.among(names) == set(names[:2])
    more = answered(1)
    writer.append("one", encode(more))
    assert known.among([more[0].prediction_id]) == {more[0].prediction_id}
    assert known.among([]) == set()
    writer.close()


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_feedback_finds_fresh_answers_when_the_clock_was_set(
    home: Settings, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    writer, now = LogWriter(home, {CASE: served()}), time.time_ns
    writer.tend()
    before = answered(2)
    log(writer, before)
    monkeypatch.setattr(time, "time_ns", lambda: now() + seconds * 1_000_000_000)
    after = answered(2)
    log(writer, after)
    ids = [row.prediction_id for row in (*before, *after)]
    assert writer.append_feedback([told(name) for name in ids]).recorded == tuple(ids)
    writer.close()


def test_ids_of_more_segments_than_stay_in_memory_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "SEGMENTS_KEPT", 1)
    writer, known = Journal(folder, SEGMENT), JournaledIds(folder / CASE)
    names = []
    for _ in range(30):
        rows = answered(10)
        writer.append(CASE, encode(rows))
        names.append(rows[0].prediction_id)
    assert len(segments(folder / CASE)) > 2
    assert known.among(names) == known.among(names) == set(names)
    writer.close()


def test_a_journal_that_cannot_be_made_refuses_until_it_can(home: Settings) -> None:
    writer = LogWriter(home, {CASE: served()})
    place = spool_path(home).with_name("journal")
    place.parent.mkdir(parents=True)
    place.write_text("a file where the folder should be")
    with pytest.raises(inference_log.SpoolError, match="takes no rows"):
        writer.tend()
    assert writer.refuses()
    with pytest.raises(inference_log.SpoolError, match="not open"):
        log(writer, answered(1))
    place.unlink()
    writer.tend()
    log(writer, answered(1))
    assert ship(home, CASE)["total"] == 1
    writer.close()
