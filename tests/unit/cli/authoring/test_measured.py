"""Limits that a source's own intervals ask for: what is honest there is refused by no proposal, and
faults still are.
"""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest

from cli.authoring.measured import measured_limits, use_case_of, whole_intervals
from cli.authoring.new_use_case import Proposed, propose
from include.quality.history import History
from include.spec import ParquetSource, UseCase
from tests.unit.cli.authoring.orders import orders

SOURCE = {"path": "orders.parquet"}
COUNT = 9000


@cache
def proposed() -> Proposed:
    """Orders with what honest sources have: calendar columns, a season, a running number, a count
    that is nearly always 0.
    """
    rows = orders(COUNT).drop("price", "grade").with_row_index("ticket")
    month = pl.col("ordered_at").dt.month().cast(pl.Int64)
    rare = pl.when(pl.col("ticket") % 300 == 0).then(1).otherwise(0)
    rows = rows.with_columns(
        month.alias("month"),
        (pl.col("items") + 20 * month).alias("warmth"),
        pl.when(pl.col("ticket") == COUNT // 2).then(2).otherwise(rare).alias("cots"),
        (pl.col("ordered_at").dt.hour().cast(pl.Int64) * 5 % 24).alias("hour"),
    )
    source = ParquetSource(path=SOURCE["path"])
    return propose("late_orders", rows, source, dict(SOURCE), label="late", time="ordered_at")


@pytest.mark.slow
def test_of_a_column_that_is_mostly_empty_half_of_its_values_may_be_lost():
    rows = orders(COUNT).drop("price", "grade")
    gusts = pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.col("size")).alias("gust")
    source = ParquetSource(path=SOURCE["path"])
    made = propose(
        "gusts", rows.with_columns(gusts), source, dict(SOURCE), label="late", time="ordered_at"
    )
    case = use_case_of(made.spec)
    assert columns(case)["gust"].max_null_share == pytest.approx(0.91, abs=0.01)
    assert columns(case)["size"].max_null_share == pytest.approx(0.07, abs=0.01)
    assert "half of the values that are there may be missing too" in " ".join(
        made.spec.replace("#", "").split()
    )


def columns(use_case: UseCase) -> dict:
    return {column.name: column for column in use_case.tables[0].columns}


def deliveries(case: UseCase) -> list[dict[str, pl.DataFrame]]:
    """The intervals' rows; labels are known with their questions here, which is all the same."""
    rows = proposed().profile.rows.with_columns(pl.col("ordered_at").alias("known_at"))
    return [
        {
            table.name: rows.filter(
                pl.col("ordered_at").is_between(interval.start, interval.end, closed="left")
            ).select(column.name for column in table.columns)
            for table in case.tables
        }
        for interval in whole_intervals(case)
    ]


@pytest.mark.slow
def test_no_interval_of_the_source_is_refused_by_what_is_proposed_of_it():
    case = use_case_of(proposed().spec)
    assert len(whole_intervals(case)) == 6  # the last lacks a day and is filled nevertheless
    assert measured_limits(case, proposed().profile) == {}
    own = {name: column.max_psi for name, column in columns(case).items() if column.max_psi}
    assert set(own) == {"ticket", "month", "warmth"}, (
        "a limit of its own where the history needs it"
    )
    assert "max_psi 18.42, most of 5, in the interval from 2023-02-01" in proposed().spec
    assert " in the interval from 2023-0" in " ".join(proposed().spec.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "fault", "limit"),
    [
        ("size", pl.col("size") * 2.54, "max_psi"),
        ("warmth", pl.col("warmth") * 0 + 115, "max_new_mass"),
        ("month", pl.when(pl.col("items") < 5).then(None).otherwise("month"), "max_null_share"),
        ("channel", pl.lit("shop"), "unseen_share"),
    ],
)
def test_a_fault_in_the_last_interval_is_still_beyond_them(column, fault, limit):
    case = use_case_of(proposed().spec)
    history, delivered = History(case), deliveries(case)
    damaged = delivered[-1]["raw/late_orders"].with_columns(fault.alias(column))
    for interval, frames in zip(whole_intervals(case), delivered, strict=True):
        last = frames is delivered[-1]
        history.add(interval, {**frames, "raw/late_orders": damaged} if last else frames)
    broken = {(item.where, item.field) for item in history.proposals() if item.breaks}
    assert (f"raw/late_orders.{column}", limit) in broken


def test_numbers_that_run_on_have_no_largest_and_are_no_input():
    case = use_case_of(proposed().spec)
    assert columns(case)["ticket"].maximum is None
    assert "ticket" not in [item.source for item in case.inputs]


def test_a_small_count_may_be_larger_one_day():
    assert columns(use_case_of(proposed().spec))["cots"].maximum == 12
    assert "0 to 2, 10 for a count added above" in proposed().spec


def test_a_column_of_the_source_may_be_called_as_an_input_of_the_time_is():
    case = use_case_of(proposed().spec)
    assert [item.source for item in case.inputs if item.name == "hour"] == ["hour"]
    assert [item.kind for item in case.inputs if item.name == "ordered_at_hour"] == ["local_hour"]
