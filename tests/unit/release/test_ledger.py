"""The ledger: append-only, and a change made past SQL's triggers is found and named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from include.errors import LateStep, ReleaseError
from include.release.ledger import GENESIS, Entry, Ledger
from include.settings import PROJECT_ROOT

APPENDER = """
import sys
from pathlib import Path
from include.release.ledger import Ledger
for number in range(15):
    Ledger(Path(sys.argv[1])).append("promoted", "flight_delays", number + 1, "d", "test", "r", {})
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger" / "releases.db")


def promote(ledger: Ledger, version: int, use_case: str = "flight_delays") -> Entry:
    return ledger.append(
        "promoted", use_case, version, f"digest-{version}", "somebody", "because", {"auc": 0.7}
    )


def test_rows_come_back_as_they_were_written_and_chained(ledger: Ledger) -> None:
    entries = [promote(ledger, 1), promote(ledger, 2), promote(ledger, 9, "other")]
    assert ledger.rows("flight_delays") == entries[:2]
    assert ledger.rows() == entries
    assert [entry.previous for entry in entries] == [GENESIS, entries[0].hash, entries[1].hash]
    assert ledger.verify() == 3


@pytest.mark.parametrize("statement", ["UPDATE releases SET version = 7", "DELETE FROM releases"])
def test_sql_cannot_change_or_delete_a_row(ledger: Ledger, statement: str) -> None:
    promote(ledger, 1)
    database = sqlite3.connect(ledger.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE releases SET version = 7 WHERE number = 2", "row 2 has been changed"),
        ("UPDATE releases SET evidence = '{}' WHERE number = 1", "row 1 has been changed"),
        ("DELETE FROM releases WHERE number = 2", "row 2 is missing"),
        ("DELETE FROM releases WHERE number = 1", "row 1 is missing"),
    ],
)
def test_verify_names_the_first_broken_row(ledger: Ledger, statement: str, named: str) -> None:
    for version in (1, 2, 3):
        promote(ledger, version)
    database = sqlite3.connect(ledger.path)
    database.execute("DROP TRIGGER releases_no_update")
    database.execute("DROP TRIGGER releases_no_delete")
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(ReleaseError, match=named):
        ledger.verify()


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
    with pytest.raises(ValueError, match="JSON compliant"):
        ledger.append("promoted", "flight_delays", 1, "d", "a", "r", {"auc": float("nan")})
    assert ledger.rows() == []


def test_processes_that_append_at_once_keep_one_chain(ledger: Ledger) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", APPENDER, str(ledger.path)], cwd=PROJECT_ROOT)
        for _ in range(3)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert ledger.verify() == 45


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
