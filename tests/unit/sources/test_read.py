"""Every source gives the interval's rows, all of a static table, the same share of them, and an
error that says what to do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
import sqlalchemy
from polars.testing import assert_frame_equal

from include.errors import DataError
from include.interval import Interval
from include.sources.read import read_table, with_key
from include.spec import (
    CsvSource,
    DeltaSource,
    FunctionSource,
    ParquetSource,
    Source,
    SqlSource,
)
from include.tables.store import TableStore
from tests.unit.model.synthetic import USE_CASE
from tests.unit.sources.readings import COLUMNS, DAY, INSIDE, MOMENTS, read, rows, table

URL = "READINGS_DATABASE_URL"
NAIVE = {"at": pl.col("at").dt.replace_time_zone(None)}


def data_module(**functions: Callable[[Interval], object]) -> ModuleType:
    module = ModuleType("data")
    vars(module).update(functions)
    return module


def sqlite(folder: Path, frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows as pandas writes them, in a database that the variable names."""
    url = f"sqlite:///{folder / 'readings.db'}"
    engine = sqlalchemy.create_engine(url)
    frame.to_pandas().to_sql("readings", engine, index=False, if_exists="replace")
    engine.dispose()
    monkeypatch.setenv(URL, url)


@pytest.fixture
def sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[Source, ModuleType]]:
    """The same rows behind each kind of source."""
    frame, empty = rows(), ModuleType("data")
    frame.write_parquet(tmp_path / "readings.parquet")
    frame.write_csv(tmp_path / "readings.csv")
    TableStore(str(tmp_path)).replace_all("delta", frame)
    sqlite(tmp_path, frame.with_columns(**NAIVE), monkeypatch)
    functions = data_module(
        polars=lambda interval: frame,
        lazy=lambda interval: frame.lazy(),
        pandas=lambda interval: frame.to_pandas(),
        arrow=lambda interval: frame.to_arrow(),
    )
    return {
        "parquet": (ParquetSource(path=str(tmp_path / "readings.parquet")), empty),
        "csv": (CsvSource(path=str(tmp_path / "readings.csv")), empty),
        "delta": (DeltaSource(uri=str(tmp_path / "delta")), empty),
        "sql": (SqlSource(url_variable=URL, table="readings", timezone="UTC"), empty),
        **{
            name: (FunctionSource(function=name), functions)
            for name in ("polars", "lazy", "pandas", "arrow")
        },
    }


KINDS = ("parquet", "csv", "delta", "sql", "polars", "lazy", "pandas", "arrow")


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_of_the_interval_are_read_with_its_start_and_without_its_end(sources, kind):
    source, data = sources[kind]
    inside = read(source, data=data)
    assert inside["name"].to_list() == INSIDE
    expected = rows().filter(pl.col("name").is_in(INSIDE))
    if kind == "sql":  # SQLite has no type for true and false; validation would say so
        expected = expected.with_columns(pl.col("open").cast(inside["open"].dtype))
    assert_frame_equal(inside, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_static_table_is_read_whole(sources, kind):
    source, data = sources[kind]
    assert read(source, data=data, static=True)["name"].sort().to_list() == sorted(MOMENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_consecutive_intervals_give_each_row_once(sources, kind):
    source, data = sources[kind]
    names = []
    for hours in range(-24, 48, 8):
        start = DAY.start + timedelta(hours=hours)
        part = read(source, data=data, interval=Interval(start, start + timedelta(hours=8)))
        names += part["name"].to_list()
    assert names == list(MOMENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_is_taken_by_the_hash_of_the_id(sources, kind):
    source, data = sources[kind]
    expected = sorted(name for name in MOMENTS if zlib.crc32(name.encode()) < 2**32 * 0.6)
    assert 0 < len(expected) < len(MOMENTS)
    sampled = read(source, data=data, static=True, share=0.6, id_column="name")
    assert sampled["name"].sort().to_list() == expected


def test_a_table_without_the_id_is_read_whole_whatever_the_share(sources):
    source, data = sources["parquet"]
    assert read(source, data=data, share=0.01)["name"].to_list() == INSIDE


def test_a_condition_leaves_rows_out_also_by_a_column_that_is_not_declared(tmp_path: Path):
    extra = rows().with_columns(pl.lit("x").alias("station"))
    extra[:2].write_parquet(tmp_path / "old.parquet")
    extra[2:].with_columns(pl.lit("y").alias("station")).write_parquet(tmp_path / "new.parquet")
    source = ParquetSource(path=str(tmp_path), where="station = 'y' AND \"count\" < 3")
    assert read(source)["name"].to_list() == ["noon"]
    assert "station" not in read(source).columns


def test_a_folder_is_all_its_files_also_where_older_ones_lack_a_column(tmp_path: Path):
    (tmp_path / "2023").mkdir()
    rows()[:2].drop("level").write_parquet(tmp_path / "2023" / "a.parquet")
    rows()[2:].write_parquet(tmp_path / "b.parquet")
    (tmp_path / "notes.txt").write_text("no data")
    for path in (tmp_path, tmp_path / "**" / "*.parquet"):
        inside = read(ParquetSource(path=str(path)))
        assert inside["name"].to_list() == INSIDE
        assert inside["level"].to_list() == [None, 2.5, 3.5]


def test_text_of_a_csv_file_becomes_what_is_declared_and_stays_where_it_cannot(tmp_path: Path):
    (tmp_path / "readings.csv").write_text(
        "name;at;level;count;open\n"
        "007;2024-03-01 01:30;1,5;3;yes\n"
        "008;2024-03-01T01:30:00.25+01:00;NA;;TRUE\n"
    )
    source = CsvSource(path=str(tmp_path / "readings.csv"), separator=";", timezone="Europe/Berlin")
    inside = read(source)
    assert inside["name"].to_list() == ["007", "008"]
    half_past = datetime(2024, 3, 1, 0, 30, tzinfo=UTC)
    assert inside["at"].to_list() == [half_past, half_past + timedelta(milliseconds=250)]
    assert inside.schema["count"] == pl.Int64
    assert inside["level"].to_list() == ["1,5", None]
    assert inside["open"].to_list() == ["yes", "TRUE"]


def test_times_without_a_zone_are_refused_unless_the_source_names_one(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    rows().with_columns(**NAIVE).write_parquet(path)
    with pytest.raises(DataError, match=r"'at' that is no moment.*declare the source's timezone"):
        read(ParquetSource(path=str(path)))
    assert read(ParquetSource(path=str(path), timezone="UTC"))["name"].to_list() == INSIDE


def test_another_time_without_a_zone_stays_as_it_came(tmp_path: Path):
    source = FunctionSource(function="readings")
    for gaps in (0, 1):  # one null there is not one null made
        frame = rows().with_columns(
            pl.Series("level", [None] * gaps + [datetime(2024, 1, 1)] * (5 - gaps))  # noqa: DTZ001
        )
        moments = table(source).columns[2].model_copy(update={"type": "timestamp"})
        data = data_module(readings=lambda interval, frame=frame: frame)
        declared = table(source).model_copy(update={"columns": (*COLUMNS[:2], moments)})
        inside = read_table(USE_CASE, declared, DAY, 1.0, data)
        assert inside["level"].dtype == pl.Datetime("us")
        assert inside["level"].null_count() == 0


def test_a_local_time_that_the_clocks_show_twice_is_refused(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    twice = datetime(2024, 10, 27, 2, 30)  # noqa: DTZ001  # a local time is the point
    rows().with_columns(pl.lit(twice).alias("at")).write_parquet(path)
    with pytest.raises(DataError, match=r"5 rows have a 'at'.*a clock in Europe/Berlin.*offset"):
        read(ParquetSource(path=str(path), timezone="Europe/Berlin"))


def test_rows_without_a_time_are_refused_unless_a_condition_leaves_them_out(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    gap = pl.when(pl.col("name") == "noon").then(None).otherwise(pl.col("at")).alias("at")
    rows().with_columns(gap).write_parquet(path)
    with pytest.raises(DataError, match=r"1 rows have no 'at'.*'noon'.*at IS NOT NULL"):
        read(ParquetSource(path=str(path)))
    source = ParquetSource(path=str(path), where="at IS NOT NULL")
    assert read(source)["name"].to_list() == ["first", "last"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_later_than_its_time_belongs_to_a_later_interval(sources, kind):
    source, data = sources[kind]
    later = source.model_copy(update={"time_from": "at", "delay": timedelta(days=30)})
    month_later = Interval(DAY.start + timedelta(days=30), DAY.end + timedelta(days=30))
    known = read(later, data=data, interval=month_later)
    assert known["name"].to_list() == INSIDE
    assert (known["at"] - rows().filter(pl.col("name").is_in(INSIDE))["at"]).unique().to_list() == [
        timedelta(days=30)
    ]
    assert read(later, data=data).is_empty()


def test_what_is_not_there_is_named_with_what_was_probably_meant(tmp_path: Path):
    rows().write_parquet(tmp_path / "readings.parquet")
    folder = tmp_path / "empty"
    folder.mkdir()
    cases: list[tuple[Source, str]] = [
        (ParquetSource(path=f"{tmp_path}/reading.parquet"), "did you mean 'readings.parquet'"),
        (ParquetSource(path=f"{tmp_path}/emty/a.parquet"), "no 'emty'; did you mean 'empty'"),
        (CsvSource(path=str(folder)), r"empty holds no file that ends with '\.csv'"),
        (CsvSource(path=f"{tmp_path}/*.csv"), r"No file matches.*holds.*readings\.parquet"),
        (CsvSource(path=f"{tmp_path}/readings.parquet"), "cannot be read|not in the source"),
        (DeltaSource(uri=f"{tmp_path}/dleta"), "has no 'dleta'"),
        (DeltaSource(uri=str(folder)), "is no Delta table.*ParquetSource"),
    ]
    for source, text in cases:
        with pytest.raises(DataError, match=text) as raised:
            read(source)
        assert "table 'raw/readings'" in str(raised.value)


def test_a_damaged_file_is_an_error_and_not_fewer_rows(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    rows().write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="its source cannot be read"):
        read(ParquetSource(path=str(path)))


def test_a_time_column_that_is_missing_or_none_is_named(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    rows().rename({"at": "at_"}).write_parquet(path)
    with pytest.raises(DataError, match="'at' is not in the source; did you mean 'at_'"):
        read(ParquetSource(path=str(path)))
    rows().with_columns(pl.col("count").alias("at")).write_parquet(path)
    with pytest.raises(DataError, match="'at' holds Int64 in the source; it must hold times"):
        read(ParquetSource(path=str(path)))


def test_a_condition_that_cannot_be_evaluated_names_the_columns_there_are(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    rows().write_parquet(path)
    with pytest.raises(DataError, match=r"'leval > 1', which cannot be evaluated: .*level"):
        read(ParquetSource(path=str(path), where="leval > 1"))


@pytest.mark.parametrize("value", [{"name": [1]}, [1, 2], None])
def test_what_a_function_gives_that_is_no_frame_is_refused(value):
    data = data_module(odd=lambda interval: value)
    with pytest.raises(DataError, match=r"odd of data\.py gives .*valid are frames of Polars"):
        read(FunctionSource(function="odd"), data=data)


def test_a_column_of_several_types_from_pandas_is_refused():
    import pandas as pd

    mixed = pd.DataFrame({"name": ["a", 1], "at": [DAY.start, DAY.start]})
    data = data_module(mixed=lambda interval: mixed)
    with pytest.raises(DataError, match=r"mixed of data\.py gives a frame of pandas.*one type"):
        read(FunctionSource(function="mixed"), data=data)


def test_a_named_index_of_pandas_is_a_column():
    frame = rows().to_pandas().set_index("name")
    data = data_module(indexed=lambda interval: frame)
    assert read(FunctionSource(function="indexed"), data=data)["name"].to_list() == INSIDE


def test_a_key_is_made_of_several_columns_the_same_whatever_the_table_s_time(tmp_path: Path):
    path = tmp_path / "readings.parquet"
    rows().rename({"name": "title"}).write_parquet(path)
    made = read(ParquetSource(path=str(path), key_from=("title", "count")))
    as_they_come = rows().filter(pl.col("name").is_in(INSIDE))
    assert made["name"].to_list() == [
        None if count is None else f"{title}|{count}"
        for title, count in as_they_come.select("name", "count").rows()
    ]
    with pytest.raises(DataError, match=r"key_from names 'titel', .* did you mean 'title'"):
        read(ParquetSource(path=str(path), key_from=("titel", "count")))
    rows().write_parquet(path)
    with pytest.raises(DataError, match="its key 'name' is a column of the source already"):
        read(ParquetSource(path=str(path), key_from=("level", "count")))


def test_a_key_of_several_columns_names_one_row_whatever_their_texts_hold():
    frame = pl.LazyFrame({"left": ["a|b", "a", "a\\", "a"], "right": ["c", "b|c", "|b", "\\|b"]})
    made = with_key(frame, "key", ("left", "right")).collect()["key"]
    assert made.n_unique() == 4
    plain = with_key(pl.LazyFrame({"left": ["Wien"], "right": [7]}), "key", ("left", "right"))
    assert plain.collect()["key"].to_list() == ["Wien|7"]
