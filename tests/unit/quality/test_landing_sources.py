"""Tables with declared sources are landed beside those that `read_source` gives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from include.catalogue import data_functions
from include.errors import DataError, SpecError
from include.quality.landing import land, landing_name
from include.settings import Settings
from include.settings.environments import ENVIRONMENTS
from include.spec import Column, FunctionSource, ParquetSource, Table, UseCase
from include.tables.store import TableStore
from tests.integration.values_world import (
    ASKS,
    INTERVAL,
    USE_CASE,
    add_use_case,
    frames_of,
    settings_in,
    varied_rows,
)

ROWS = frames_of(varied_rows(20))
DATA = f"include.use_cases.{USE_CASE.name}.data"


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    add_use_case()
    return settings_in(tmp_path)


def with_sources(**sources: object) -> UseCase:
    """The use case with a source for the tables of those short names."""
    tables = [
        table.model_copy(update={"source": sources.get(table.name.removeprefix("raw/"))})
        for table in USE_CASE.tables
    ]
    return USE_CASE.model_copy(update={"tables": tuple(tables)})


def landed(own: Settings, use_case: UseCase) -> dict[str, pl.DataFrame]:
    tables = TableStore(own.tables_uri)
    land(tables, use_case, INTERVAL, own)
    return {
        table.name: tables.read(landing_name(table.name, INTERVAL)) for table in use_case.tables
    }


def define(**functions: Callable[..., object]) -> None:
    """Functions of the use case's data.py."""
    vars(sys.modules[DATA]).update(functions)


def test_each_table_comes_from_where_it_is_declared(own: Settings, tmp_path: Path):
    asks = tmp_path / "asks.parquet"
    ROWS[ASKS.name].write_parquet(asks)
    others = {name: frame for name, frame in ROWS.items() if name != ASKS.name}
    # A frame of pandas is as good as one of Polars.
    define(
        read_source=lambda interval, share: {
            name: frame.to_pandas() for name, frame in others.items()
        }
    )
    by_file = landed(own, with_sources(asks=ParquetSource(path=str(asks))))
    define(read_source=lambda interval, share: ROWS)
    by_function = landed(own, USE_CASE)
    assert set(by_file) == set(ROWS)
    for name, frame in by_function.items():
        assert by_file[name].sort(frame.columns[0]).equals(frame.sort(frame.columns[0])), name
        assert frame.height == 20


def test_read_source_owes_only_tables_without_a_source(own: Settings, tmp_path: Path):
    ROWS[ASKS.name].write_parquet(tmp_path / "asks.parquet")
    use_case = with_sources(asks=ParquetSource(path=str(tmp_path / "asks.parquet")))
    with pytest.raises(SpecError, match="each without a source of its own") as raised:
        landed(own, use_case)
    assert ASKS.name not in str(raised.value)


def test_what_is_no_frame_is_refused_by_name(own: Settings):
    define(read_source=lambda interval, share: {**ROWS, ASKS.name: {"a": [1]}})
    with pytest.raises(DataError, match=rf"read_source of {USE_CASE.name}, '{ASKS.name}', gives"):
        landed(own, USE_CASE)


def test_a_value_that_is_not_what_is_declared_lands_for_validation_to_refuse(own: Settings):
    frame = ROWS[ASKS.name]
    column = next(entry.name for entry in ASKS.columns if entry.type == "number")
    define(odd=lambda interval: frame.with_columns(pl.lit("many").alias(column)))
    define(read_source=lambda interval, share: ROWS)
    rows = landed(own, with_sources(asks=FunctionSource(function="odd")))[ASKS.name]
    assert rows[column].unique().to_list() == ["many"]


def test_an_environment_reads_the_source_that_is_declared_for_it(own: Settings, tmp_path: Path):
    """The rest of the pipeline is the same; only its own environment sees it."""
    asks = tmp_path / "asks.parquet"
    ROWS[ASKS.name].head(5).write_parquet(asks)
    elsewhere = {"staging": ParquetSource(path=str(asks))}
    tables = [
        table.model_copy(update={"source_in": elsewhere if table.name == ASKS.name else {}})
        for table in USE_CASE.tables
    ]
    use_case = USE_CASE.model_copy(update={"tables": tuple(tables)})
    define(read_source=lambda interval, share: ROWS)
    staging = own.model_copy(update={"environment": "staging"})
    assert landed(staging, use_case)[ASKS.name].height == 5
    assert landed(own, use_case)[ASKS.name].height == 20
    # With a source in every environment nothing is left to `read_source`.
    everywhere = dict.fromkeys(ENVIRONMENTS, ParquetSource(path=str(asks)))
    alone = use_case.model_copy(
        update={
            "tables": tuple(
                table.model_copy(update={"source_in": everywhere}) for table in USE_CASE.tables
            )
        }
    )
    assert "read_source" in data_functions(use_case)
    assert "read_source" not in data_functions(alone)


def test_an_environment_that_does_not_exist_is_refused():
    with pytest.raises(SpecError, match=r"source_in\.prod.*'prod'; valid: \['dev', 'production'"):
        Table(
            name="raw/x",
            key=("name",),
            columns=(Column(name="name", type="string"),),
            time_column=None,
            source_in={"prod": ParquetSource(path="x.parquet")},
        )
