"""Labels that come late, twice or never, and the table that keeps them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.interval import Interval
from include.monitoring.labels import attach, count, labels_table, read_labels, record_online
from include.tables.store import TIMESTAMP, TableStore
from tests.unit.model.synthetic import USE_CASE

FIRST = Interval(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC))
SECOND = Interval(datetime(2020, 2, 1, tzinfo=UTC), datetime(2020, 3, 1, tzinfo=UTC))
HOUR = timedelta(hours=1)


@pytest.fixture
def tables(tmp_path: Path) -> TableStore:
    """Parcels: `a` known in time, `b` at the very end of January, `c` never, `d` reported twice."""
    store = TableStore(str(tmp_path))
    known = [FIRST.start + HOUR, FIRST.end, FIRST.end - 2 * HOUR, FIRST.end - HOUR]
    rows = pl.DataFrame(
        {"parcel_id": ["a", "b", "d", "d"], "known_at": known, "late": [1, 0, 1, 0]}
    )
    store.replace_all("raw/deliveries", rows.with_columns(pl.col("known_at").cast(TIMESTAMP)))
    return store


@pytest.fixture
def log() -> pl.DataFrame:
    ids = ["a", "b", "c", "d", None]
    asked = [FIRST.start, FIRST.end - HOUR, FIRST.start, FIRST.start, FIRST.start]
    rows = {
        "prediction_id": [f"p{number}" for number in range(5)],
        "parcel_id": ids,
        "asked_at": asked,
        "answered_at": asked,
        "score": 0.5,
        "model_version": 1,
    }
    return pl.DataFrame(rows).with_columns(pl.col("asked_at", "answered_at").cast(TIMESTAMP))


def test_a_label_of_the_interval_end_is_not_known_yet(
    tables: TableStore, log: pl.DataFrame
) -> None:
    labels = read_labels(USE_CASE, tables, FIRST.start)
    assert attach(USE_CASE, log, labels, FIRST.end)["label"].to_list() == [1, None, None, 1, None]
    later = attach(USE_CASE, log, labels, FIRST.end + timedelta(microseconds=1))
    assert later["label"].to_list() == [1, 0, None, 1, None]


def test_counts_say_why_a_label_is_missing(tables: TableStore, log: pl.DataFrame) -> None:
    counts = count(USE_CASE, log, read_labels(USE_CASE, tables, FIRST.start), FIRST.end)
    assert counts == {
        "predictions": 5,
        "labelled": 2,
        "unlabelled": 3,
        "not_yet_known": 1,
        "never_reported": 1,
        "without_id": 1,
    }


def test_a_late_label_is_written_once_by_the_interval_in_which_it_comes(
    tables: TableStore, log: pl.DataFrame
) -> None:
    for interval in (FIRST, SECOND, FIRST, SECOND):
        record_online(
            USE_CASE, tables, log, read_labels(USE_CASE, tables, interval.start), interval
        )
    rows = tables.read(labels_table(USE_CASE)).sort("prediction_id")
    assert rows.columns == [
        "prediction_id",
        "parcel_id",
        "asked_at",
        "score",
        "model_version",
        "label",
        "known_at",
    ]
    assert rows.select("prediction_id", "label").rows() == [("p0", 1), ("p1", 0), ("p3", 1)]
    assert tables.version(labels_table(USE_CASE)) == 1


def test_no_row_is_multiplied_by_a_label_that_was_reported_twice(
    tables: TableStore, log: pl.DataFrame
) -> None:
    assert (
        attach(USE_CASE, log, read_labels(USE_CASE, tables, FIRST.start), FIRST.end).height
        == log.height
    )
