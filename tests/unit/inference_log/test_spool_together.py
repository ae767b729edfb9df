"""A batch of any size is one transaction, whichever way it is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from include.inference_log.spool import Spool, SpoolError
from tests.unit.inference_log.log_helpers import answered


@pytest.mark.parametrize("count", [1, 2, 300])
def test_all_rows_of_a_batch_are_kept_in_their_order_and_whole(tmp_path: Path, count: int):
    spool, rows = Spool(tmp_path / "spool.db"), answered(count)
    spool.append(rows)
    assert [row[1:] for row in spool.read("flight_delays", 0, 1000)] == [
        row.as_row() for row in rows
    ]
    spool.close()


@pytest.mark.parametrize("count", [5, 300])
def test_one_refused_row_keeps_the_whole_batch_out_and_the_next_one_is_taken(
    tmp_path: Path, count: int
):
    spool = Spool(tmp_path / "spool.db")
    other = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    other.execute(
        "CREATE TRIGGER full BEFORE INSERT ON predictions WHEN NEW.score > 0.9 BEGIN SELECT"
        " RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(SpoolError, match="disk full"):
        spool.append([*answered(count), *answered(1, score=0.95)])
    assert spool.read("flight_delays", 0, 1000) == []
    spool.append(answered(count))
    assert spool.backlog("flight_delays") == count
    other.close()
    spool.close()
