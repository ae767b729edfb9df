from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.errors import DataError, TableNotFound
from include.tables.scan import scan_uri
from include.tables.store import TIMESTAMP, TableStore, frame_digest, same_rows

START = datetime(2013, 1, 1, tzinfo=UTC)


def rows(first_day: int, count: int, value: float = 1.0) -> pl.DataFrame:
    moments = [START + timedelta(days=first_day + place) for place in range(count)]
    return pl.DataFrame(
        {"at": moments, "value": [value] * count}, schema={"at": TIMESTAMP, "value": pl.Float64}
    )


def replace(tables: TableStore, frame: pl.DataFrame, first_day: int, days: int) -> int:
    start = START + timedelta(days=first_day)
    return tables.replace_window(
        "t", frame, time_column="at", start=start, end=start + timedelta(days=days)
    ).version


def test_a_window_is_replaced_and_its_neighbours_stay(root: str):
    tables = TableStore(root)
    replace(tables, rows(0, 4), 0, 4)
    replace(tables, rows(2, 2, 9.0), 2, 2)
    assert tables.read("t").sort("at")["value"].to_list() == [1.0, 1.0, 9.0, 9.0]
    replace(tables, rows(0, 0), 1, 2)
    assert tables.read("t").sort("at")["value"].to_list() == [1.0, 9.0]


def test_the_same_rows_make_no_new_version(root: str):
    tables = TableStore(root)
    first = replace(tables, rows(0, 4), 0, 4)
    assert replace(tables, rows(0, 4).reverse(), 0, 4) == first
    assert replace(tables, rows(0, 4, 2.0), 0, 4) > first


def test_a_row_outside_the_window_is_refused(root: str):
    with pytest.raises(DataError, match="1 rows lie outside"):
        replace(TableStore(root), rows(0, 5), 0, 4)


def test_an_offset_is_appended_once(root: str):
    tables = TableStore(root)
    assert tables.offset("t", "shipper") == -1
    assert tables.append_once("t", rows(0, 2), consumer="shipper", offset=7) is not None
    assert tables.append_once("t", rows(0, 2), consumer="shipper", offset=7) is None
    assert (tables.read("t").height, tables.offset("t", "shipper")) == (2, 7)


def test_an_older_version_can_be_read(root: str):
    tables = TableStore(root)
    old = replace(tables, rows(0, 1), 0, 1)
    tables.replace_all("t", rows(0, 1, 5.0))
    assert tables.read("t", version=old)["value"].to_list() == [1.0]


def test_a_missing_table_is_named(root: str):
    with pytest.raises(TableNotFound, match="no table 'nothing'"):
        TableStore(root).read("nothing")


def test_the_digest_ignores_order_but_no_value():
    frame = rows(0, 3)
    assert frame_digest(frame) == frame_digest(frame.reverse().select("value", "at"))
    assert not same_rows(frame, rows(0, 3, 1.0000001))


def test_a_folder_of_tables_is_listed_and_removed(root: str):
    tables = TableStore(root)
    assert tables.below("staging") == []
    for name in ("staging/march/0", "staging/march/1", "staging/april/0", "other"):
        tables.replace_all(name, rows(0, 1))
    assert tables.below("staging") == ["staging/april", "staging/march"]
    tables.remove("staging/march")
    assert tables.below("staging") == ["staging/april"]
    assert not tables.exists("staging/march/1")
    assert tables.exists("staging/april/0")


@pytest.mark.parametrize(
    "protocol",
    [
        {"minReaderVersion": 9, "minWriterVersion": 9},
        {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["ofTomorrow"],
            "writerFeatures": ["ofTomorrow"],
        },
    ],
)
def test_a_table_of_a_newer_form_is_refused_with_what_to_do(tmp_path: Path, protocol):
    tables = TableStore(str(tmp_path))
    replace(tables, rows(0, 1), 0, 1)
    first = tmp_path / "t" / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    newer = [{"protocol": protocol} if "protocol" in line else line for line in lines]
    first.write_text("\n".join(map(json.dumps, newer)))
    for read in (
        lambda: tables.read("t"),
        lambda: scan_uri(tables.uri("t")),
        lambda: replace(tables, rows(1, 1), 1, 1),
    ):
        with pytest.raises(DataError, match=r"A newer version of Flightdeck.*use that version"):
            read()
