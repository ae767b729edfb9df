"""A table gains columns, heals its types and refuses everything else by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.errors import DataError
from include.object_storage import ObjectStore
from include.settings.object_storage import is_remote
from include.tables.store import UNREADABLE, TableStore, TableVersion

JANUARY, FEBRUARY, MARCH = (datetime(2020, month, 1, tzinfo=UTC) for month in (1, 2, 3))
TIME = 'the "time", asked-at'


@pytest.fixture
def tables(root: str) -> TableStore:
    return TableStore(root)


def rows(start: datetime, **columns: list[Any]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    moments = [start + timedelta(hours=hour) for hour in range(height)]
    return pl.DataFrame({TIME: moments, **columns}).with_columns(
        pl.col(TIME).cast(pl.Datetime("us", "UTC"))
    )


def write(tables: TableStore, frame: pl.DataFrame, start: datetime = JANUARY) -> TableVersion:
    end = FEBRUARY if start == JANUARY else MARCH
    return tables.replace_window("x", frame, time_column=TIME, start=start, end=end)


def test_a_new_column_is_null_in_older_rows(tables: TableStore) -> None:
    write(tables, rows(JANUARY, a=[1, 2]))
    write(tables, rows(FEBRUARY, a=[3], b=["new"]), FEBRUARY)
    assert tables.read("x").sort(TIME)["b"].to_list() == [None, None, "new"]
    version = write(tables, rows(JANUARY, a=[1, 2], b=["late", None])).version
    assert tables.read("x").sort(TIME)["b"].to_list() == ["late", None, "new"]
    assert write(tables, rows(JANUARY, a=[1, 2], b=["late", None])).version == version


def test_a_table_of_whole_numbers_takes_fractions_without_cutting_them(tables: TableStore) -> None:
    write(tables, rows(JANUARY, month=[61, 62]))
    write(tables, rows(FEBRUARY, month=[61.7]), FEBRUARY)
    assert tables.read("x").sort(TIME)["month"].to_list() == [61.0, 62.0, 61.7]


def test_a_column_without_any_value_fixes_no_type(tables: TableStore) -> None:
    write(tables, rows(JANUARY, a=[None, None]))
    write(tables, rows(FEBRUARY, a=[1.5]), FEBRUARY)
    write(tables, rows(JANUARY, a=[None]))
    assert tables.read("x").sort(TIME)["a"].to_list() == [None, 1.5]


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ([1.5], [1], "'a' is stored as Float64.*Int64.*1.5"),
        (["12"], [12], "'a' is stored as String.*'12'"),
        ([2**60 + 1], [0.5], "'a' is stored as Int64.*Float64"),
        ([[1]], ["a"], "'a' is stored as List"),
    ],
)
def test_another_type_is_refused_by_name_and_changes_nothing(
    tables: TableStore, before: list[Any], after: list[Any], named: str
) -> None:
    write(tables, rows(JANUARY, a=before))
    with pytest.raises(DataError, match=named):
        write(tables, rows(FEBRUARY, a=after), FEBRUARY)
    assert tables.read("x")["a"].to_list() == before


def test_a_column_that_is_dropped_stays_in_older_rows_and_is_null_in_new_ones(
    tables: TableStore,
) -> None:
    write(tables, rows(JANUARY, a=[1], b=[2]))
    version = write(tables, rows(FEBRUARY, a=[3]), FEBRUARY).version
    assert tables.read("x").sort(TIME)["b"].to_list() == [2, None]
    assert write(tables, rows(FEBRUARY, a=[3]), FEBRUARY).version == version
    write(tables, rows(FEBRUARY, a=[4.5]), FEBRUARY)
    assert tables.read("x").sort(TIME).select("a", "b").rows() == [(1.0, 2), (4.5, None)]
    write(tables, rows(FEBRUARY, a=[4.5], b=[6]), FEBRUARY)
    assert tables.read("x").sort(TIME)["b"].to_list() == [2, 6]


def test_a_column_that_comes_back_as_another_type_is_refused(tables: TableStore) -> None:
    write(tables, rows(JANUARY, a=[1], b=["two"]))
    write(tables, rows(FEBRUARY, a=[3]), FEBRUARY)
    with pytest.raises(DataError, match=r"'b' is stored as String.*another name"):
        write(tables, rows(FEBRUARY, a=[3], b=[2]), FEBRUARY)


def test_a_column_that_is_new_only_by_its_case_is_refused(tables: TableStore) -> None:
    write(tables, rows(JANUARY, month=[1]))
    with pytest.raises(DataError, match="'Month' differs from the table's 'month'"):
        write(tables, rows(FEBRUARY, month=[1], Month=[2]), FEBRUARY)


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Int8, pl.Int128])
def test_a_table_written_twice_keeps_its_version_whatever_the_sign_of_its_integers(
    tables: TableStore, dtype: Any
) -> None:
    frame = rows(JANUARY, a=[1, 100]).cast({"a": dtype})
    assert write(tables, frame).version == write(tables, frame).version
    assert tables.replace_all("y", frame).version == tables.replace_all("y", frame).version
    assert tables.read("y")["a"].to_list() == [1, 100]


def test_a_number_without_a_place_is_refused_by_name(tables: TableStore) -> None:
    with pytest.raises(DataError, match=r"y\.a: a value of type UInt64"):
        tables.replace_all("y", pl.DataFrame({"a": pl.Series([2**63], dtype=pl.UInt64)}))


def test_rows_are_cut_along_a_time_whose_name_must_be_quoted(tables: TableStore) -> None:
    write(tables, rows(JANUARY, a=[1, 2]))
    write(tables, rows(FEBRUARY, a=[3]), FEBRUARY)
    write(tables, rows(JANUARY, a=[4]))
    assert tables.read("x").sort(TIME)["a"].to_list() == [4, 3]
    assert tables.delete_before("x", TIME, FEBRUARY) == 1
    assert tables.read("x")["a"].to_list() == [3]


def damage(uri: str, ending: str) -> None:
    if is_remote(uri):
        objects = ObjectStore(uri)
        names = [name for name in objects.tags() if name.endswith(ending)]
        for name in names:
            objects.write(name, b"no such file")
    else:
        names = [str(path) for path in Path(uri).rglob(f"*{ending}")]
        for name in names:
            Path(name).write_bytes(b"no such file")
    assert names


@pytest.mark.parametrize("damaged", [".parquet", ".json"])
def test_what_cannot_be_read_is_replaced_where_only_repeated_writes_lie(
    tables: TableStore, damaged: str
) -> None:
    tables.replace_unread("y", pl.DataFrame({"a": [1, 2]}))
    damage(tables.uri("y"), damaged)
    with pytest.raises(UNREADABLE):
        tables.replace_all("y", pl.DataFrame({"a": [3]}))
    tables.replace_unread("y", pl.DataFrame({"a": [3]}))
    assert tables.read("y")["a"].to_list() == [3]


def test_a_column_that_the_table_lacks_is_named_when_it_is_read(tables: TableStore) -> None:
    write(tables, rows(JANUARY, a=[1]))
    with pytest.raises(DataError, match=r"holds no column \['b'\]"):
        tables.read("x", columns=["a", "b"])
