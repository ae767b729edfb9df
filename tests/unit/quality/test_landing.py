"""Deliveries in any form on their way to the published tables: the same values, or a refusal that
names column, row and remedy.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include.errors import DataError
from include.interval import Interval
from include.processes.features import ingest_source, publish_tables, validate_data
from include.processes.results import DataVerdict, LandedTables
from include.quality.landing import landing_name
from include.settings import Settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore
from tests.integration.values_world import (
    ASKED,
    ASKS,
    INTERVAL,
    USE_CASE,
    add_use_case,
    frames_of,
    settings_in,
    varied_rows,
)
from tests.step_runs import ACCEPTED as VERDICT

ACCEPTED = DataVerdict(**VERDICT)
SIZE, COUNT = "größe (m)", "select"
MONTHS = [
    Interval(datetime(2020, month, 1, tzinfo=UTC), datetime(2020, month + 1, 1, tzinfo=UTC))
    for month in (1, 2, 3)
]


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    add_use_case()
    return settings_in(tmp_path)


def context_of(
    own: Settings, interval: Interval = INTERVAL, use_case: UseCase = USE_CASE
) -> StepContext:
    return StepContext(use_case, own, interval, RunInfo(process="features", run_id="test"))


def land(own: Settings, interval: Interval = INTERVAL, **asks: pl.Expr | pl.Series) -> LandedTables:
    """Deliver the month's rows, columns of the asks replaced, and land them."""
    later = interval.start - INTERVAL.start
    folder = own.home / "deliveries" / USE_CASE.name / interval.label
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames_of(varied_rows(20)).items():
        times = [column for column, dtype in frame.schema.items() if dtype.is_temporal()]
        moved = frame.with_columns(pl.col(times) + later)
        if name == ASKS.name:
            moved = moved.with_columns(**asks)
        moved.write_parquet(folder / f"{name.removeprefix('raw/')}.parquet")
    return ingest_source(context_of(own, interval))


def published(own: Settings, landed: LandedTables, interval: Interval = INTERVAL) -> pl.DataFrame:
    publish_tables(context_of(own, interval), landed, ACCEPTED)
    return TableStore(own.tables_uri).read(ASKS.name).sort(ASKED)


def test_a_month_of_whole_numbers_does_not_cut_the_fractions_of_the_next(own: Settings) -> None:
    published(own, land(own, MONTHS[0], **{SIZE: pl.lit(61)}), MONTHS[0])
    rows = published(own, land(own, MONTHS[1], **{SIZE: pl.lit(61.7)}), MONTHS[1])
    assert rows[SIZE].unique().sort().to_list() == [61.0, 61.7]


def test_a_month_without_any_value_fixes_no_type(own: Settings) -> None:
    published(own, land(own, MONTHS[0], **{SIZE: pl.lit(None)}), MONTHS[0])
    rows = published(own, land(own, MONTHS[1], **{SIZE: pl.lit(1.5)}), MONTHS[1])
    assert rows[SIZE].unique().sort().to_list() == [None, 1.5]


def test_a_table_from_before_its_column_was_declared_heals(own: Settings) -> None:
    landed = land(own, MONTHS[0])
    rows = TableStore(own.tables_uri).read(landing_name(ASKS.name, MONTHS[0]))
    TableStore(own.tables_uri).replace_all(
        ASKS.name, rows.with_columns(pl.lit(7).alias(SIZE), pl.lit(None).alias(COUNT))
    )
    assert landed.tables[ASKS.name].rows == rows.height
    healed = published(own, land(own, MONTHS[1]), MONTHS[1])
    assert (healed.schema[SIZE], healed.schema[COUNT]) == (pl.Float64(), pl.Int64())
    assert healed.filter(pl.col(ASKED) < MONTHS[1].start)[SIZE].unique().to_list() == [7.0]


def test_a_column_that_is_declared_later_is_null_in_older_rows(own: Settings) -> None:
    fields = USE_CASE.model_dump()
    fields["tables"][0]["columns"] = tuple(
        column for column in fields["tables"][0]["columns"] if column["name"] != SIZE
    )
    fields["serving"]["request_fields"] = tuple(
        field for field in fields["serving"]["request_fields"] if field["name"] != SIZE
    )
    fields["inputs"] = tuple(part for part in fields["inputs"] if part["source"] != SIZE)
    former = UseCase.model_validate(fields)
    landed = land(own, MONTHS[0])
    publish_tables(context_of(own, MONTHS[0], former), landed, ACCEPTED)
    rows = published(own, land(own, MONTHS[1]), MONTHS[1])
    assert rows.filter(pl.col(ASKED) < MONTHS[1].start)[SIZE].null_count() == 20
    assert rows.filter(pl.col(ASKED) >= MONTHS[1].start)[SIZE].null_count() < 20
    publish_tables(context_of(own, MONTHS[2], former), land(own, MONTHS[2]), ACCEPTED)
    rows = TableStore(own.tables_uri).read(ASKS.name)
    dropped = rows.filter(pl.col(ASKED) >= MONTHS[2].start)[SIZE]
    assert dropped.null_count() == len(dropped) > 0
    assert rows[SIZE].count() > 0


@pytest.mark.parametrize(
    "asks",
    [
        {COUNT: pl.col(COUNT).abs().cast(pl.UInt32)},
        {COUNT: pl.col(COUNT).cast(pl.Float64)},
        {COUNT: pl.col(COUNT).cast(pl.Decimal(18, 2))},
        {'sender\'s "name"': pl.col('sender\'s "name"').cast(pl.Enum(["Ann", "Zoë", "東京"]))},
        {'sender\'s "name"': pl.col('sender\'s "name"').cast(pl.Categorical)},
        {"due, at": pl.col("due, at").dt.cast_time_unit("ns")},
        {"due, at": pl.col("due, at").dt.convert_time_zone("America/New_York")},
        {SIZE: pl.col(SIZE).fill_null(float("nan"))},
        {SIZE: pl.col(SIZE).cast(pl.Decimal(18, 2))},
        {SIZE: pl.col(SIZE).cast(pl.Float32)},
    ],
)
def test_other_types_of_the_same_values_are_published_as_declared(own: Settings, asks: Any) -> None:
    rows = published(own, land(own, **asks))
    expected = frames_of(varied_rows(20))[ASKS.name].with_columns(
        pl.col(COUNT).abs() if "abs" in str(asks.get(COUNT)) else pl.col(COUNT)
    )
    assert_frame_equal(rows, expected)


@pytest.mark.slow  # Great Expectations
@pytest.mark.parametrize(
    ("asks", "column", "observed"),
    [
        ({COUNT: pl.lit(61.7)}, COUNT, "came as Float64), for example 61.7 in row 0"),
        ({COUNT: pl.lit("12")}, COUNT, "came as String), for example '12' in row 0"),
        ({SIZE: pl.lit("12")}, SIZE, "came as String), for example '12' in row 0"),
        ({SIZE: pl.lit(1e39)}, SIZE, "for example 1e+39 in row 0"),
        ({COUNT: pl.lit(2**60)}, COUNT, f"for example {2**60} in row 0"),
        ({"due, at": pl.lit(timedelta(1))}, "due, at", "came as Duration(time_unit='us'))"),
        ({"is open?": pl.lit(1)}, "is open?", "came as Int32), for example 1 in row 0"),
    ],
)
def test_what_cannot_become_what_is_declared_is_refused_by_name_and_can_be_corrected(
    own: Settings, asks: Any, column: str, observed: str
) -> None:
    landed = land(own, **asks)
    verdict = validate_data(context_of(own), landed)
    assert not verdict.accepted
    assert len(verdict.reasons) == 1
    assert f"{ASKS.name}.{column}: type: expected" in verdict.reasons[0]
    assert observed in verdict.reasons[0]
    (failure,) = verdict.failures
    assert failure["example"][ASKED].startswith("2020-01-21T00:00:00")
    with pytest.raises(DataError, match="must hold"):
        publish_tables(context_of(own), landed, ACCEPTED)
    corrected = published(own, land(own))
    assert_frame_equal(corrected, frames_of(varied_rows(20))[ASKS.name])


def test_a_file_that_is_no_parquet_is_named_and_can_be_delivered_again(own: Settings) -> None:
    land(own)
    file = own.home / "deliveries" / USE_CASE.name / INTERVAL.label / "asks.parquet"
    file.write_text("month,size\n1,2\n")
    with pytest.raises(DataError, match=r"asks\.parquet cannot be read as Parquet"):
        ingest_source(context_of(own))
    assert published(own, land(own)).height == 20


@pytest.mark.parametrize("damaged", ["*.parquet", "_delta_log/*.json"])
def test_a_landing_that_cannot_be_read_does_not_block_its_correction(
    own: Settings, damaged: str
) -> None:
    land(own)
    landing = Path(TableStore(own.tables_uri).uri(landing_name(ASKS.name, INTERVAL)))
    for file in landing.glob(damaged):
        file.write_bytes(b"damaged")
    assert published(own, land(own)).height == 20


def test_columns_beside_the_declared_ones_may_have_any_type_and_name(own: Settings) -> None:
    more = {"Select": pl.lit(1), "held": pl.lit([1], pl.List(pl.UInt8)), "t": pl.lit(timedelta(1))}
    rows = published(own, land(own, **more))
    assert rows.columns == [column.name for column in ASKS.columns]
