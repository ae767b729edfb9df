"""Which arm a row fell on, by which plan, and what answered it: through journal and spool into the
table, beside rows from before.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from include.inference_log.frames import Frame, encode
from include.inference_log.log import (
    LoggedPrediction,
    Spool,
    log_table,
    shadow_id,
    ship,
    spool_path,
    was_answered,
)
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import Writer, answered

NAME = "flight_delays"
COLUMNS = ("arm", "plan", "model_digest", "fallback", "model_version")
DIGEST = "d" * 64


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def canary_rows() -> list[LoggedPrediction]:
    return [
        *answered(1, plan=7, model_digest=DIGEST),
        *answered(1, arm="challenger", plan=7, model_digest=DIGEST, fallback="ValueError: no"),
    ]


def of_before(frame: Frame) -> Frame:
    """The frame as it was written before the plans: with fewer values to a row."""
    ids = frame.content[: 16 * frame.rows]
    entries = orjson.dumps([entry[:13] for entry in orjson.loads(frame.content[16 * frame.rows :])])
    return Frame(ids + entries, zlib.crc32(ids), zlib.crc32(entries), frame.rows)


EXPECTED = [
    ("champion", 7, DIGEST, None, 3),
    ("challenger", 7, DIGEST, "ValueError: no", 3),
]


@pytest.mark.parametrize("way", ["journal", "spool"])
def test_the_table_says_which_arm_of_which_plan_and_what_answered(home: Settings, way: str) -> None:
    writer = Writer(home)
    if way == "journal":
        writer.write(canary_rows())
    else:
        writer.spool.append(canary_rows())
    writer.close()
    assert ship(home, NAME)["total"] == 2
    rows = TableStore(home.tables_uri).read(log_table(NAME)).sort("sequence")
    assert rows.select(COLUMNS).rows() == EXPECTED


def test_rows_from_before_the_plans_are_shipped_beside_them(home: Settings) -> None:
    writer = Writer(home)
    writer.journal.append(NAME, of_before(encode(answered(2))))
    writer.close()
    ship(home, NAME)
    tables = TableStore(home.tables_uri)
    old = tables.read(log_table(NAME))
    assert old.select(COLUMNS).unique().rows() == [("champion", None, None, None, 3)]
    # A table from before lacks the columns altogether.
    tables.replace_all(log_table(NAME), old.drop("plan", "model_digest", "fallback"))
    writer = Writer(home)
    writer.write(canary_rows())
    writer.close()
    ship(home, NAME)
    rows = tables.read(log_table(NAME)).sort("sequence").select(COLUMNS).rows()
    assert rows == [("champion", None, None, None, 3)] * 2 + EXPECTED


def test_a_spool_from_before_the_plans_is_brought_up_to_date(home: Settings) -> None:
    spool = Spool(spool_path(home))
    spool.append(answered(2))
    for column in ("plan", "model_digest", "fallback"):
        spool._database.execute(f"ALTER TABLE predictions DROP COLUMN {column}")
    spool._database.execute("PRAGMA user_version = 3")
    spool.close()
    again = Spool(spool_path(home))
    again.append(canary_rows())
    again.close()
    ship(home, NAME)
    rows = TableStore(home.tables_uri).read(log_table(NAME)).sort("sequence")
    assert rows.select(COLUMNS).rows() == [("champion", None, None, None, 3)] * 2 + EXPECTED


def test_a_shadows_row_is_found_by_its_answer_and_counts_as_none(home: Settings) -> None:
    (row,) = answered(1, plan=7)
    shadow = replace(row, prediction_id=shadow_id(row.prediction_id), arm="shadow")
    assert shadow.prediction_id != row.prediction_id
    assert shadow_id(shadow.prediction_id) == shadow.prediction_id
    assert shadow.prediction_id[12] == "8"
    writer = Writer(home)
    writer.write([row, shadow])
    writer.close()
    ship(home, NAME)
    rows = TableStore(home.tables_uri).read(log_table(NAME))
    assert rows.height == 2
    (answer,) = rows.filter(was_answered(rows.columns))["prediction_id"].to_list()
    assert answer == row.prediction_id
    older = rows.drop("arm")
    assert older.filter(was_answered(older.columns)).height == 2
