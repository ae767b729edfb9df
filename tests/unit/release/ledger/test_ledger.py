"""The ledger as its callers use it: append, order, read; one chain whoever writes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from include.errors import LateStep, LedgerBroken
from include.release.ledger import GENESIS, Ledger
from include.settings import PROJECT_ROOT
from tests.unit.release.ledger.ledger_files import Home, promote

APPENDER = """
import sys
from pathlib import Path
from include.release.ledger import Ledger
url, folder, keys = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
for number in range(15):
    ledger = Ledger.at(url, folder, keys)
    ledger.append("promoted", "flight_delays", number + 1, "d", "test", "r", {})
"""
COPY = """
import sys
from pathlib import Path
from include.release.ledger import Ledger
ledger = Ledger.at(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
evidence = {"run": {"process": "deployment", "run_id": "manual__1"}}
print(ledger.append("promoted", "flight_delays", 2, "d", "a", "r", evidence, after=0).number)
"""


def arguments(home: Home) -> list[str]:
    folder = home.database.parent
    return [f"sqlite:///{home.database}", str(folder), str(home.folder / "keys")]


def in_run(run_id: str, **more: Any) -> dict[str, Any]:
    return {"run": {"process": "deployment", "run_id": run_id}, **more}


def test_rows_come_back_as_they_were_written_and_chained(ledger: Ledger) -> None:
    entries = [promote(ledger, 1), promote(ledger, 2), promote(ledger, 9, "other")]
    assert ledger.rows("flight_delays") == entries[:2]
    assert ledger.rows() == entries
    assert [entry.previous for entry in entries] == [GENESIS, entries[0].hash, entries[1].hash]
    assert ledger.verify().number == 3


@pytest.mark.parametrize(
    "statement", ["UPDATE release_ledger SET version = 7", "DELETE FROM release_ledger"]
)
def test_sql_cannot_change_or_delete_a_row(home: Home, statement: str) -> None:
    promote(home.ledger, 1)
    database = sqlite3.connect(home.database)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute(statement)
    database.close()


def test_reading_a_ledger_that_was_never_begun_makes_nothing(home: Home, ledger: Ledger) -> None:
    assert ledger.rows() == []
    assert ledger.newest("flight_delays") is None
    assert ledger.verify().number == 0
    assert not home.database.exists()
    assert not (home.folder / "keys").exists()


def test_serving_at_is_the_last_promotion_until_then(ledger: Ledger) -> None:
    first, second = promote(ledger, 1), promote(ledger, 2)
    ledger.append("rolled_back", "flight_delays", 3, "d", "somebody", "it did not load", {})
    assert ledger.serving_at("flight_delays", first.recorded_at - timedelta(seconds=1)) is None
    assert ledger.serving_at("flight_delays", first.recorded_at) == first
    assert (
        ledger.serving_at("flight_delays", second.recorded_at + timedelta(days=1))
        == second
        == ledger.current("flight_delays")
    )
    assert ledger.current("other") is None


def test_evidence_that_is_no_json_is_refused_and_leaves_no_row(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="not representable"):
        ledger.append("promoted", "flight_delays", 1, "d", "a", "r", {"auc": float("nan")})
    assert ledger.rows() == []


@pytest.mark.slow
def test_processes_that_append_at_once_keep_one_chain(home: Home, ledger: Ledger) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", APPENDER, *arguments(home)], cwd=PROJECT_ROOT)
        for _ in range(3)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert ledger.verify().number == 45


def test_two_copies_of_a_promotion_add_one_row_and_a_late_one_is_refused_by_name(
    ledger: Ledger,
) -> None:
    first = promote(ledger, 1)
    values = ("flight_delays", 2, "digest-2", "somebody", "because", {"auc": 0.7})
    second = ledger.append("promoted", *values, after=first.number)
    assert ledger.append("promoted", *values, after=first.number) == second
    late = ("flight_delays", 3, "digest-3", "an old try", "because", {})
    with pytest.raises(LateStep, match="version 3 of flight_delays is late: version 2 was"):
        ledger.append("promoted", *late, after=first.number)
    with pytest.raises(LateStep):
        ledger.promotion_before("flight_delays", first.number, 3, "digest-3")
    assert ledger.promotion_before("flight_delays", first.number, 2, "digest-2") == first
    assert ledger.promotion_before("flight_delays", second.number, 3, "digest-3") == second
    assert ledger.rows() == [first, second]


@pytest.mark.slow
def test_two_copies_of_a_run_write_one_row_also_at_the_same_moment(home: Home) -> None:
    copies = [
        subprocess.Popen(
            [sys.executable, "-c", COPY, *arguments(home)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [copy.communicate(timeout=60)[0].strip() for copy in copies] == ["1", "1", "1"]
    assert len(home.ledger.rows()) == 1


def test_a_run_writes_an_event_about_a_version_once_for_each_step(ledger: Ledger) -> None:
    values = ("traffic", "flight_delays", 2, "digest-2", "somebody", "because")
    first = ledger.append(*values, in_run("r1", step="5 %"))
    assert ledger.append(*values, in_run("r1", step="5 %", share=0.07)) == first
    second = ledger.append(*values, in_run("r1", step="25 %"))
    third = ledger.append(*values, in_run("r2", step="5 %"))
    assert ledger.rows() == [first, second, third]
    assert first.run == "deployment/r1"


def test_traffic_and_roll_backs_of_another_run_make_a_release_late(ledger: Ledger) -> None:
    values = ("flight_delays", 2, "digest-2", "somebody", "because")
    for event in ("traffic", "rolled_back"):
        before = ledger.append("promoted", "flight_delays", 1, "digest-1", "a", "r", {})
        ledger.append(event, *values, in_run(f"other {event}"))
        with pytest.raises(LateStep, match="version 2 of flight_delays is late"):
            ledger.append("promoted", *values, in_run("mine"), after=before.number)
        with pytest.raises(LateStep):
            ledger.promotion_before(*values[:1], before.number, *values[1:3], run="deployment/mine")


def test_the_rows_of_a_run_do_not_make_itself_late(ledger: Ledger) -> None:
    values = ("flight_delays", 2, "digest-2", "somebody", "because")
    champion = promote(ledger, 1)
    ledger.append("traffic", *values, in_run("r1"), after=champion.number)
    ledger.append("registered", "flight_delays", 3, "digest-3", "training", "", in_run("r9"))
    before = ledger.promotion_before(
        "flight_delays", champion.number, 2, "digest-2", run="deployment/r1"
    )
    assert before == champion
    promoted = ledger.append("promoted", *values, in_run("r1"), after=champion.number)
    assert (promoted.number, ledger.newest("flight_delays")) == (4, promoted)


def test_numbers_come_back_as_they_were_signed(ledger: Ledger) -> None:
    evidence = {"big": 1e20, "small": 1e-9, "whole": 3.0, "text": "ä\u2028\n", "none": None}
    assert (
        ledger.append("verdict", "flight_delays", 1, "d", "a", "r", evidence).evidence == evidence
    )
    assert ledger.rows()[0].evidence == evidence
    assert ledger.verify().number == 1


def test_without_the_private_key_nothing_is_written(home: Home, ledger: Ledger) -> None:
    promote(ledger, 1)
    (home.folder / "keys" / "ledger.pem").unlink()
    with pytest.raises(Exception, match="cannot be written: its key"):
        promote(home.ledger, 2)
    assert home.ledger.verify().number == 1
    (home.folder / "keys" / "ledger.pub.pem").unlink()
    with pytest.raises(LedgerBroken, match=r"its key .* is missing"):
        home.ledger.verify()


def test_traffic_is_what_the_newest_row_says_of_it(ledger: Ledger) -> None:
    assert ledger.traffic("flight_delays") is None
    values = ("flight_delays", 2, "digest-2", "somebody", "because")
    first = promote(ledger, 1)
    promote(ledger, 2)
    old = ledger.append("rolled_back", *values, {"back_to": 1})
    traffic = ledger.traffic("flight_delays")
    assert (traffic.champion.version, traffic.champion.digest, traffic.entry) == (
        1,
        "digest-1",
        old,
    )
    arms = [
        {"role": "champion", "version": 1, "digest": "digest-1", "share": 0.9},
        {"role": "challenger", "version": 2, "digest": "digest-2", "share": 0.1},
    ]
    shadow = {"role": "shadow", "version": 3, "digest": "digest-3", "share": 0.0}
    ledger.append("traffic", *values, {"plan": {"arms": arms, "shadow": shadow}})
    traffic = ledger.traffic("flight_delays")
    assert [(arm.role, arm.share) for arm in traffic.arms] == [
        ("champion", 0.9),
        ("challenger", 0.1),
        ("shadow", 0.0),
    ]
    ledger.append("rolled_back", *values, {"plan": {"arms": []}})
    assert ledger.traffic("flight_delays").champion is None
    tried = [{"role": "champion", "version": 9, "digest": "digest-9", "share": 1.0}]
    promote(ledger, 2)
    ledger.append("traffic", *values, {"plan": {"arms": tried}})
    assert ledger.traffic("flight_delays").champion.version == 9
    assert ledger.in_service("flight_delays").champion.version == 2
    before = ledger.traffic("flight_delays", first.recorded_at)
    assert (before.champion.version, before.entry) == (1, first)
