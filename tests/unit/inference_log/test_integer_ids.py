"""Ids and keys that are whole numbers reach the table as such, whichever way their rows took."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from include.inference_log.log import LoggedPrediction, Spool, ship, spool_path
from include.settings import Settings, load_settings
from include.spec import request_model
from include.spec.values import LARGEST_INTEGER
from include.tables.store import TableStore
from tests.integration.values_world import ID, KEY, USE_CASE, add_use_case
from tests.unit.inference_log.log_helpers import Writer, answered

pytestmark = pytest.mark.slow  # ships through Delta

NUMBERS = (7, 0, -3, LARGEST_INTEGER, -LARGEST_INTEGER)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    add_use_case()
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def rows(*numbers: int | None) -> list[LoggedPrediction]:
    """A row each, asked about that id and with a key of the same number."""
    nothing = dict.fromkeys(column.name for column in request_model(USE_CASE))
    return [
        row
        for number in numbers
        for row in answered(
            1,
            use_case=USE_CASE.name,
            target_id=number,
            request={**nothing, KEY: 0 if number is None else number},
            features={"customer__orders": number},
            flags=[],
        )
    ]


def shipped(home: Settings) -> pl.DataFrame:
    ship(home, USE_CASE.name)
    return TableStore(home.tables_uri).read(f"{USE_CASE.name}/inference_log").sort("sequence")


@pytest.mark.parametrize("way", ["journal", "spool"])
def test_whole_numbers_stay_whole_numbers(home: Settings, way: str) -> None:
    batch = rows(*NUMBERS, None)
    if way == "spool":
        Spool(spool_path(home)).append(batch)
    else:
        writer = Writer(home)
        writer.write(batch, USE_CASE.name)
        writer.close()
    frame = shipped(home)
    assert (frame.schema[ID], frame.schema[KEY]) == (pl.Int64, pl.Int64)
    assert frame[ID].to_list() == [*NUMBERS, None]
    assert frame[KEY].to_list() == [*NUMBERS, 0]


def test_rows_of_both_ways_lie_in_one_table(home: Settings) -> None:
    Spool(spool_path(home)).append(rows(LARGEST_INTEGER))
    writer = Writer(home)
    writer.write(rows(-LARGEST_INTEGER), USE_CASE.name)
    writer.close()
    assert set(shipped(home)[ID]) == {LARGEST_INTEGER, -LARGEST_INTEGER}
