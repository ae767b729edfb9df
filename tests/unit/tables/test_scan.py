"""Tables lie where the path says, whatever an address or a pattern would make of it."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from deltalake import DeltaTable

from include.tables.ledger import Ledger
from include.tables.scan import scan_table
from include.tables.store import TIMESTAMP, TableStore
from tests.homes import ODD_NAME

MOMENTS = pl.Series("at", [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 2)], dtype=TIMESTAMP)
ROWS = pl.DataFrame({"id": ["a", "b"], "value": [1, None]}).with_columns(MOMENTS)


@pytest.mark.parametrize("name", [" ", "ö", "#", "%", "?", "*", "日", "plain", ODD_NAME])
def test_a_table_is_written_and_read_below_any_folder(name, tmp_path):
    store = TableStore(str(tmp_path / name / "tables"))
    window = {"time_column": "at", "start": MOMENTS[0], "end": datetime(2020, 2, 1, tzinfo=UTC)}
    store.replace_window("raw/x", ROWS, **window)
    store.replace_window("raw/x", ROWS.head(1), **window)
    assert store.read("raw/x", where=pl.col("id") == "a", columns=["id"]).rows() == [("a",)]
    assert store.read("raw/x", version=0).sort("id").equals(ROWS)
    assert store.read("raw/x").schema == ROWS.schema
    store.append_once("raw/x", ROWS.with_columns(more=pl.lit(1)), consumer="c", offset=1)
    assert store.read("raw/x")["more"].to_list().count(None) == 1
    ledger = Ledger(store, "ledger", dict(ROWS.schema), key=("id",))
    ledger.upsert(ROWS)
    ledger.upsert(ROWS.head(1))
    assert ledger.read().height == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_sibling_that_a_pattern_would_match_is_not_read(tmp_path):
    for name in ("a?b", "axb"):
        TableStore(str(tmp_path / name)).replace_all("t", ROWS)
    (tmp_path / "axb" / "t").rename(tmp_path / "other")
    (tmp_path / "axb").rmdir()
    (tmp_path / "axb").symlink_to(tmp_path / "a?b")
    assert TableStore(str(tmp_path / "a?b")).read("t").height == ROWS.height


def test_a_table_without_any_file_has_its_columns(tmp_path):
    store = TableStore(str(tmp_path / ODD_NAME))
    store.replace_all("t", ROWS.clear())
    table = DeltaTable(store.uri("t"))
    assert scan_table(table).collect().schema == ROWS.schema
