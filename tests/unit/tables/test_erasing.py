"""Rows that leave a table for good, and the list of those that may not come back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from include.errors import DataError, TableNotFound
from include.settings import load_settings
from include.tables.erased import ErasedKeys
from include.tables.erasing import (
    all_tables,
    forget_history,
    holds_former,
    remove_rows,
)
from include.tables.store import TableStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = "customer-0815"


def rows(*customers: str) -> pl.DataFrame:
    return pl.DataFrame({"customer": list(customers), "amount": range(len(customers))})


def is_person(frame: pl.DataFrame) -> pl.Series:
    return frame["customer"] == PERSON


@pytest.fixture
def tables(tmp_path: Path) -> TableStore:
    """A store with a table whose versions all but the newest hold the person's rows or had them."""
    store = TableStore(str(tmp_path))
    store.append_once("raw/orders", rows("a", PERSON, "b"), consumer="spool", offset=7)
    store.append_once("raw/orders", rows("c", PERSON), consumer="spool", offset=9)
    return store


def traces(tables: TableStore, name: str) -> list[str]:
    """The files of the table in which the person is named; Parquet is read, all else searched."""
    folder = Path(tables.uri(name))
    named = []
    for path in filter(Path.is_file, folder.rglob("*")):
        text = path.read_bytes()
        if path.suffix == ".parquet":
            text += str(pl.read_parquet(path, glob=False).to_dicts()).encode()
        if PERSON.encode() in text:
            named.append(path.name)
    return named


def test_rows_are_gone_from_every_version_and_from_the_log(tables: TableStore):
    assert len(traces(tables, "raw/orders")) == 4  # two data files, and two commits by their bounds
    assert all_tables(tables) == ["raw/orders"]
    assert remove_rows(tables, "raw/orders", is_person) == 2
    assert holds_former(tables, "raw/orders", is_person)
    forget_history(tables, "raw/orders")
    assert traces(tables, "raw/orders") == []
    assert not holds_former(tables, "raw/orders", is_person)
    assert sorted(tables.read("raw/orders")["customer"]) == ["a", "b", "c"]
    with pytest.raises(TableNotFound):
        tables.open("raw/orders", version=1)


def test_writers_go_on_behind_it_and_repeat_nothing(tables: TableStore):
    remove_rows(tables, "raw/orders", is_person)
    forget_history(tables, "raw/orders")
    assert tables.append_once("raw/orders", rows("x"), consumer="spool", offset=9) is None
    assert tables.append_once("raw/orders", rows("d"), consumer="spool", offset=11) is not None
    assert sorted(tables.read("raw/orders")["customer"]) == ["a", "b", "c", "d"]
    assert remove_rows(tables, "raw/orders", is_person) == 0
    forget_history(tables, "raw/orders")
    assert tables.read("raw/orders").height == 4


def test_a_history_that_names_somebody_is_found_though_the_newest_version_does_not(
    tables: TableStore,
):
    tables.replace_all("raw/orders", rows("a"))
    assert remove_rows(tables, "raw/orders", is_person) == 0
    assert holds_former(tables, "raw/orders", is_person)
    forget_history(tables, "raw/orders")
    assert traces(tables, "raw/orders") == []


def test_what_is_killed_between_files_and_log_goes_on(
    tables: TableStore, monkeypatch: pytest.MonkeyPatch
):
    remove_rows(tables, "raw/orders", is_person)
    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "create_checkpoint", _die)
        with pytest.raises(KeyboardInterrupt):
            forget_history(tables, "raw/orders")
    assert traces(tables, "raw/orders")
    assert holds_former(tables, "raw/orders", is_person)
    forget_history(tables, "raw/orders")
    assert traces(tables, "raw/orders") == []
    assert not holds_former(tables, "raw/orders", is_person)


def _die(table: DeltaTable) -> None:
    raise KeyboardInterrupt


def test_a_file_that_a_writer_is_about_to_commit_stays(tables: TableStore):
    about_to = Path(tables.uri("raw/orders")) / "part-00000-new.parquet"
    rows("f").write_parquet(about_to)
    remove_rows(tables, "raw/orders", is_person)
    forget_history(tables, "raw/orders")
    assert about_to.exists()


def test_a_commit_that_comes_in_between_is_not_lost(tables: TableStore):
    uri, late = tables.uri("raw/orders"), [rows("e")]

    def unwanted(frame: pl.DataFrame) -> pl.Series:
        if late:  # after the rows were read, and before they are written
            write_deltalake(uri, late.pop().to_arrow(), mode="append")
        return is_person(frame)

    assert remove_rows(tables, "raw/orders", unwanted) == 2
    assert sorted(tables.read("raw/orders")["customer"]) == ["a", "b", "c", "e"]


def test_a_table_that_holds_nobody_else_stays_empty(tables: TableStore):
    tables.replace_all("raw/orders", rows(PERSON))
    assert remove_rows(tables, "raw/orders", is_person) == 1
    forget_history(tables, "raw/orders")
    assert tables.read("raw/orders").is_empty()
    assert traces(tables, "raw/orders") == []


def test_the_list_names_nobody_and_knows_whom_it_means(tmp_path: Path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    erased = ErasedKeys(settings, "shop")
    assert erased.without(rows(PERSON)).height == 1
    assert erased.add("customer", [PERSON, 12, None], NOW) == 2
    assert erased.add("customer", [PERSON], NOW) == 0
    again = ErasedKeys(settings, "shop")
    assert again.without(rows("a", PERSON, "b"))["customer"].to_list() == ["a", "b"]
    numbers = pl.DataFrame({"customer": [11, 12, None], "other": [12, 12, 12]})
    assert again.matching(numbers).to_list() == [False, True, False]
    assert not again.holds("other", PERSON)
    assert not ErasedKeys(settings, "bank").holds("customer", PERSON)
    assert traces(TableStore(settings.tables_uri), "privacy/erased") == []


def test_a_list_whose_key_is_gone_is_not_taken_for_an_empty_one(tmp_path: Path):
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    ErasedKeys(settings, "shop").add("customer", [PERSON], NOW)
    (settings.keys_dir / "erasure.key").unlink()
    with pytest.raises(DataError, match="Put it back from a backup"):
        ErasedKeys(settings, "shop")
