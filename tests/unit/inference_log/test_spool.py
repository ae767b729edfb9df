"""The spool: feedback and keyed answers, and files of other layouts."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

import include.inference_log.spool as spool_module
from include.inference_log.log import (
    KeyedAnswer,
    Spool,
    SpoolError,
    feedback_table,
    log_table,
    ship,
    ship_feedback,
    spool_path,
)
from include.inference_log.rows import first_id_at, prediction_ids
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import answered, told

FIRST_LAYOUT = """
CREATE TABLE spool (id TEXT NOT NULL);
INSERT INTO spool VALUES ('first');
CREATE TABLE predictions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, prediction_id TEXT NOT NULL,
    use_case TEXT NOT NULL, model_version INTEGER NOT NULL,
    answered_at INTEGER NOT NULL, event_time INTEGER NOT NULL, target_id TEXT,
    request TEXT NOT NULL, features TEXT NOT NULL,
    score REAL NOT NULL, decision INTEGER NOT NULL, flags TEXT NOT NULL, latency_ms REAL NOT NULL
);
CREATE TABLE shipped (use_case TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
INSERT INTO predictions
VALUES (7, '0190a0b4f0c07d1e9f6a3c2b1d0e4f5a', 'flight_delays', 2, 1, 1364817600000000, 'X',
        '{}', '{}', 0.5, 1, '[]', 1.0);
"""


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


@pytest.fixture
def spool(home: Settings) -> Spool:
    return Spool(spool_path(home))


def test_feedback_is_kept_once_and_what_became_of_it_is_told(home: Settings, spool: Spool) -> None:
    rows = answered(3)
    spool.append(rows)
    first, second, third = (row.prediction_id for row in rows)
    stranger = prediction_ids(1)[0]
    outcome = spool.append_feedback(
        [
            told(first),
            told(first, 3.5, name="reward"),
            told(second, None, text="late"),
            told(stranger),
        ]
    )
    assert (outcome.recorded, outcome.unknown) == ((first, first, second), (stranger,))
    again = spool.append_feedback([told(first), told(second, 0.0), told(third)])
    assert (again.repeated, again.conflicting, again.recorded) == ((first,), (second,), (third,))
    assert ship_feedback(home, "flight_delays") == {"shipped": 4, "total": 4, "offset": 6}
    assert ship_feedback(home, "flight_delays")["shipped"] == 0
    frame = TableStore(home.tables_uri).read(feedback_table("flight_delays")).sort("sequence")
    assert frame.select("prediction_id", "name", "value", "text").rows() == [
        (first, "label", 1.0, None),
        (first, "reward", 3.5, None),
        (second, "label", None, "late"),
        (third, "label", 1.0, None),
    ]
    assert frame["received_at"][0] == datetime(2023, 11, 14, 22, 15, tzinfo=UTC)


def test_feedback_on_another_use_case_is_unknown(spool: Spool) -> None:
    row = answered(1, use_case="other")[0]
    spool.append([row])
    assert spool.append_feedback([told(row.prediction_id)]).unknown == (row.prediction_id,)


def test_late_feedback_finds_answers_that_have_left_the_spool_until_their_time_is_over(
    home: Settings, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "KEPT_ROWS", 2)
    rows = answered(5)
    spool.append(rows)
    ship(home, "flight_delays")
    assert len(spool.read("flight_delays", -1, 100)) == 2
    first = rows[0].prediction_id
    assert spool.append_feedback([told(first)]).recorded == (first,)
    ship_feedback(home, "flight_delays")  # made just now: far younger than feedback_days
    assert spool.append_feedback([told(first)]).repeated == (first,)
    later = first_id_at(int(first[:12], 16) + 1000)
    spool.forget_ids("flight_delays", later, shipped_feedback=0)
    spool.forget_ids("flight_delays", later, shipped_feedback=10)
    assert spool.append_feedback([told(first)]).unknown == (first,)


def test_a_keyed_answer_is_logged_once_and_given_again(spool: Spool) -> None:
    first, second, other = answered(3)
    keyed = KeyedAnswer("flight_delays", "k1", "print", b"first", (first.prediction_id,))
    assert spool.append([first], [keyed]) == {}
    again = KeyedAnswer("flight_delays", "k1", "print", b"second", (second.prediction_id,))
    assert spool.append([second, other], [again]) == {0: b"first"}
    assert [row[1] for row in spool.read("flight_delays", -1, 10)] == [
        first.prediction_id,
        other.prediction_id,
    ]
    foreign = KeyedAnswer(
        "flight_delays", "k1", "another request", b"third", (second.prediction_id,)
    )
    assert spool.append([second], [foreign]) == {0: None}
    assert len(spool.read("flight_delays", -1, 10)) == 2
    spool.forget_keys(2**62)
    assert spool.append([second], [again]) == {}


def test_the_same_key_twice_in_one_batch_is_logged_once(spool: Spool) -> None:
    rows = answered(2)
    keyed = [
        KeyedAnswer("flight_delays", "k", "p", f"a{n}".encode(), (row.prediction_id,))
        for n, row in enumerate(rows)
    ]
    assert spool.append(rows, keyed) == {1: b"a0"}
    assert [row[1] for row in spool.read("flight_delays", -1, 10)] == [rows[0].prediction_id]


def test_a_spool_of_the_first_layout_is_brought_up_to_date_with_every_row(home: Settings) -> None:
    spool_path(home).parent.mkdir(parents=True)
    database = sqlite3.connect(spool_path(home))
    database.executescript(FIRST_LAYOUT)
    database.close()
    spool = Spool(spool_path(home))
    assert spool.id == "first"
    spool.append(answered(1))
    assert spool.append_feedback([told("0190a0b4f0c07d1e9f6a3c2b1d0e4f5a")]).recorded
    assert ship(home, "flight_delays") == {"shipped": 2, "total": 2, "offset": 8}
    frame = TableStore(home.tables_uri).read(log_table("flight_delays")).sort("sequence")
    assert frame.select("flight_id", "arm", "attributions").row(0) == ("X", "champion", None)


def test_a_table_without_the_newer_columns_gets_them(home: Settings, spool: Spool) -> None:
    spool.append(answered(1))
    ship(home, "flight_delays")
    tables = TableStore(home.tables_uri)
    tables.replace_all(
        log_table("flight_delays"),
        tables.read(log_table("flight_delays")).drop("arm", "attributions"),
    )
    spool.append(answered(1, arm="canary", attributions={"dest": 0.25}))
    assert ship(home, "flight_delays")["total"] == 2
    frame = tables.read(log_table("flight_delays")).sort("sequence")
    assert frame.select("arm", "attributions").rows() == [(None, None), ("canary", '{"dest":0.25}')]


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("PRAGMA user_version = 99", "newer Flightdeck"),
        ("CREATE TABLE predictions (sequence INTEGER, something TEXT)", "no layout of Flightdeck"),
    ],
)
def test_a_file_that_is_not_ours_to_write_is_refused_and_left_alone(
    home: Settings, script: str, text: str
) -> None:
    spool_path(home).parent.mkdir(parents=True)
    database = sqlite3.connect(spool_path(home))
    database.executescript(script)
    before = list(database.iterdump())
    with pytest.raises(SpoolError, match=text):
        Spool(spool_path(home))
    assert list(database.iterdump()) == before
    database.close()


def test_nobody_else_can_read_the_spool(home: Settings) -> None:
    path = spool_path(home)
    before = os.umask(0o022)
    try:
        path.parent.mkdir(parents=True)
        path.touch(mode=0o644)  # as earlier releases have made it
        spool = Spool(path)
        spool.append(answered(1))
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.glob("spool.db*")}
    assert modes == {"spool.db": 0o600, "spool.db-wal": 0o600, "spool.db-shm": 0o600}
    spool.close()
