"""The log as monitoring reads it: marks lifted, labels from feedback beside the label table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import include.inference_log.log as log
from include.catalogue import load_use_case
from include.inference_log.log import (
    feedback_table,
    log_schema,
    log_table,
    ship,
    ship_feedback,
    spool_path,
)
from include.inference_log.writer import LogWriter
from include.interval import Interval
from include.monitoring.labels import count_impossible, labels_table, record_online
from include.monitoring.online_log import read_log, told_labels
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore
from tests.unit.inference_log.log_helpers import EVENT, FLIGHT_ID, answered, marked, told

DAY = timedelta(days=1)
INTERVAL = Interval(datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 4, 8, tzinfo=UTC))


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def known_labels(known_at: datetime | None) -> pl.DataFrame:
    """The label table's answer for the flight: late, known at a moment, or nothing."""
    rows = [] if known_at is None else [{"flight_id": FLIGHT_ID, "label": 1, "known_at": known_at}]
    return pl.DataFrame(
        rows, schema={"flight_id": pl.String, "label": pl.Int64, "known_at": TIMESTAMP}
    )


def microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def write(home: Settings, use_case: UseCase, count: int, **changes: object) -> list[str]:
    rows = answered(count, **changes)
    writer = LogWriter(home, {use_case.name: use_case})
    writer.tend()
    writer.append(use_case.name, rows, ())
    writer.close()
    return [row.prediction_id for row in rows]


def test_marked_keys_are_put_back_and_rows_that_stay_hidden_are_left_out(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_case = marked(flight_id="hash", tailnum="hash", carrier="drop")
    monkeypatch.setattr(log, "load_use_case", lambda _: use_case)
    tables = TableStore(home.tables_uri)
    assert read_log(use_case, tables, home).schema == log_schema(load_use_case("flight_delays"))
    known = write(home, use_case, 1, request={"tailnum": "N1"})
    write(home, use_case, 1, target_id="nobody knows")
    ship(home, use_case.name)
    flight = {"flight_id": FLIGHT_ID, "asked_at": EVENT, "carrier": "AA", "tailnum": "N1"}
    tables.replace_all(
        "raw/flights", pl.DataFrame([flight]).with_columns(pl.col("asked_at").cast(TIMESTAMP))
    )
    frame = read_log(use_case, tables, home)
    assert frame["prediction_id"].to_list() == known
    assert frame.select("flight_id", "carrier", "tailnum", "dest").rows() == [
        (FLIGHT_ID, "AA", "N1", "LAX")
    ]
    assert record_online(use_case, tables, frame, known_labels(EVENT + DAY), INTERVAL).rows == 1


def test_labels_told_as_feedback_count_where_the_label_table_says_nothing(home: Settings) -> None:
    use_case, tables = load_use_case("flight_delays"), TableStore(home.tables_uri)
    reported, silent, late = write(home, use_case, 1)[0], *write(home, use_case, 2, target_id=None)
    spool = log.Spool(spool_path(home))
    moments = [
        (reported, 0.0, EVENT + DAY),
        (silent, 1.0, EVENT + DAY),
        (late, 1.0, EVENT + 10 * DAY),
    ]
    spool.append_feedback(
        [told(name, value, known_at=microseconds(moment)) for name, value, moment in moments]
    )
    spool.append_feedback([told(silent, 9.5, name="reward")])
    spool.close()
    ship(home, use_case.name)
    ship_feedback(home, use_case.name)
    assert tables.read(feedback_table(use_case.name)).height == 4
    assert told_labels(use_case, tables, pl.Int64()).height == 3
    answers = read_log(use_case, tables, home)
    record_online(use_case, tables, answers, known_labels(EVENT + 2 * DAY), INTERVAL)
    written = {
        row["prediction_id"]: row["label"]
        for row in tables.read(labels_table(use_case)).iter_rows(named=True)
    }
    assert written == {reported: 1, silent: 1}
    following = Interval(INTERVAL.end, INTERVAL.end + 7 * DAY)
    version = record_online(use_case, tables, answers, known_labels(None), following)
    assert version.rows == 1
    assert tables.read(labels_table(use_case)).height == 3
    assert (
        record_online(use_case, tables, answers, known_labels(None), following).version
        == version.version
    )
    assert tables.exists(log_table(use_case.name))


def test_a_label_told_before_it_can_be_known_counts_for_nothing(home: Settings) -> None:
    use_case, tables = load_use_case("flight_delays"), TableStore(home.tables_uri)
    early, right = write(home, use_case, 2, target_id=None)
    hour = timedelta(hours=1)
    spool = log.Spool(spool_path(home))
    spool.append_feedback(
        [
            told(early, 1.0, known_at=microseconds(EVENT + hour)),
            told(right, 1.0, known_at=microseconds(EVENT + 4 * hour)),
        ]
    )
    spool.close()
    ship(home, use_case.name)
    ship_feedback(home, use_case.name)
    answers = read_log(use_case, tables, home)
    record_online(use_case, tables, answers, known_labels(None), INTERVAL)
    assert tables.read(labels_table(use_case))["prediction_id"].to_list() == [right]
    assert count_impossible(use_case, tables, answers, pl.Int64()) == 1


def test_before_any_feedback_there_are_no_told_labels(home: Settings) -> None:
    assert (
        told_labels(load_use_case("flight_delays"), TableStore(home.tables_uri), pl.Int64()).height
        == 0
    )
