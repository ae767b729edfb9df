"""One real thing under two keys is refused, within a delivery and across published intervals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from include.interval import Interval
from include.quality.delivery import Delivery
from include.quality.delivery_checks import natural_keys
from include.spec import DataChecks
from include.tables.store import TIMESTAMP, TableStore
from include.verdict import Finding
from tests.unit.model.synthetic import PARCELS, START, USE_CASE

DAY = Interval(START, START + timedelta(days=1))
YESTERDAY = Interval(START - timedelta(days=1), START)
TABLE = PARCELS.model_copy(update={"natural_key": ("depot", "pickup")})


def parcels(**columns: Any) -> pl.DataFrame:
    """Three parcels of one depot, picked up an hour apart."""
    rows: dict[str, Any] = {
        "parcel_id": ["a", "b", "c"],
        "asked_at": [START] * 3,
        "depot": ["east"] * 3,
        "pickup": [START + timedelta(hours=hour) for hour in (1, 2, 3)],
        **columns,
    }
    return pl.DataFrame(rows).with_columns(pl.col("asked_at", "pickup").cast(TIMESTAMP))


@pytest.fixture
def tables(tmp_path) -> TableStore:
    return TableStore(str(tmp_path))


def judge(
    tables: TableStore,
    frame: pl.DataFrame,
    *broken: str,
    checks: DataChecks = USE_CASE.data_checks,
    **declared: Any,
) -> list[Finding]:
    case = USE_CASE.model_copy(update={"data_checks": checks})
    table = TABLE.model_copy(update=declared)
    delivery = Delivery(case, table, frame, DAY, [], [], frozenset(broken))
    return natural_keys(delivery, tables)


def publish(tables: TableStore, frame: pl.DataFrame, interval: Interval) -> None:
    tables.replace_window(
        PARCELS.name, frame, time_column="asked_at", start=interval.start, end=interval.end
    )


TWICE = [START + timedelta(hours=hour) for hour in (1, 1, 3)]


def test_one_thing_under_two_ids_is_refused_with_both(tables):
    (failure,) = judge(tables, parcels(pickup=TWICE))
    assert (failure.rule, failure.part) == ("natural key", "depot+pickup")
    assert failure.limit == "one parcel_id for one depot + pickup"
    assert failure.observed == "2 of 3 rows (66.67%)"
    assert failure.example is not None
    assert (failure.example["parcel_id"], failure.example["parcel_id of another"]) == ("a", "b")


def test_things_that_differ_pass_and_so_does_a_table_that_declares_none(tables):
    assert judge(tables, parcels()) == []
    assert judge(tables, parcels(pickup=TWICE), natural_key=()) == []


def test_the_same_id_twice_is_another_rules_matter(tables):
    assert judge(tables, parcels(parcel_id=["a", "a", "c"], pickup=TWICE)) == []


def test_a_thing_that_another_interval_published_under_another_id_is_refused(tables):
    earlier = parcels(parcel_id=["x", "y", "z"], asked_at=[YESTERDAY.start] * 3)
    publish(tables, earlier.head(1), YESTERDAY)
    (failure,) = judge(tables, parcels())
    assert failure.observed == "1 of 3 rows (33.33%)"
    assert failure.example is not None
    assert failure.example["parcel_id of another"] == "x"


def test_the_rows_that_a_correction_replaces_are_no_others(tables):
    publish(tables, parcels(parcel_id=["x", "y", "z"]), DAY)
    assert judge(tables, parcels()) == []


def test_a_row_with_a_null_in_it_is_not_judged(tables):
    unknown = [None, None, START + timedelta(hours=3)]
    assert judge(tables, parcels(pickup=unknown)) == []


def test_columns_that_failed_already_are_not_judged_again(tables):
    assert judge(tables, parcels(pickup=TWICE), "pickup") == []
    assert judge(tables, parcels(pickup=TWICE).drop("depot")) == []


def test_a_share_may_be_tolerated(tables):
    frame = parcels(pickup=TWICE)
    assert judge(tables, frame, checks=DataChecks(max_natural_repeats=0.7)) == []
    (failure,) = judge(tables, frame, checks=DataChecks(max_natural_repeats=0.5))
    assert "not so in at most 50.00%" in str(failure.limit)


def test_a_thing_in_every_row_costs_no_more_than_the_rows(tables):
    count = 20_000  # joined with itself: 400 million rows
    frame = pl.DataFrame({"parcel_id": [f"p{number}" for number in range(count)]}).with_columns(
        pl.lit(START, TIMESTAMP).alias("asked_at"),
        pl.lit("east").alias("depot"),
        pl.lit(START, TIMESTAMP).alias("pickup"),
    )
    (failure,) = judge(tables, frame)
    assert failure.observed == f"{count} of {count} rows (100.00%)"
