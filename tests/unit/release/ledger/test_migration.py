"""A ledger of the old form becomes one of the new form by itself, once, and cannot be put back."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from include.errors import LedgerBroken
from include.files import sqlite_url
from include.release.ledger import GENESIS, Ledger
from tests.unit.release.ledger.ledger_files import Home, promote

FORMER = """
CREATE TABLE IF NOT EXISTS releases (
    number INTEGER PRIMARY KEY, recorded_at TEXT NOT NULL, event TEXT NOT NULL,
    use_case TEXT NOT NULL, version INTEGER NOT NULL,
    digest TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS releases_no_update BEFORE UPDATE ON releases
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS releases_no_delete BEFORE DELETE ON releases
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""
RUN = {"run": {"process": "deployment", "run_id": "manual__1"}, "auc": 0.71}


def write_former(home: Home, *versions: int) -> list[tuple[Any, ...]]:
    """A ledger as the version before wrote it: two rows of one run are among what it could hold."""
    home.database.parent.mkdir(parents=True, exist_ok=True)
    previous, rows = GENESIS, []
    with closing(sqlite3.connect(home.database)) as database:
        database.executescript(FORMER)
        for number, version in enumerate(versions, start=1):
            fields: tuple[Any, ...] = (
                number,
                "2026-01-02T03:04:05.000006+00:00",
                "promoted",
                "flight_delays",
            )
            fields = (*fields, version, f"digest-{version}", "somebody", "ü", json.dumps(RUN))
            fields = (*fields, previous)
            previous = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
            rows.append((*fields, previous))
            database.execute(f"INSERT INTO releases VALUES ({','.join('?' * 11)})", rows[-1])
        database.commit()
    return rows


def test_an_old_ledger_is_signed_once_and_goes_on(home: Home) -> None:
    former = write_former(home, 1, 2, 2)
    rows = home.ledger.rows()
    assert [(row.number, row.version, row.reason) for row in rows] == [
        (1, 1, "ü"),
        (2, 2, "ü"),
        (3, 2, "ü"),
    ]
    assert [row.evidence["former_hash"] for row in rows] == [row[-1] for row in former]
    assert rows[0].evidence["auc"] == 0.71
    assert promote(home.ledger, 3).number == 4
    assert home.ledger.verify().number == 4
    with closing(sqlite3.connect(home.database)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    assert tables == [("release_ledger",)]


def test_an_old_ledger_without_a_row_is_begun_anew(home: Home) -> None:
    write_former(home)
    assert promote(home.ledger, 3).number == 1
    assert home.ledger.verify().number == 1


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE releases SET version = 7 WHERE number = 2", "row 2 has been changed"),
        ("DELETE FROM releases WHERE number = 2", "row 2 is missing"),
    ],
)
def test_an_old_ledger_that_does_not_hold_is_not_migrated(
    home: Home, statement: str, named: str
) -> None:
    write_former(home, 1, 2, 3)
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("DROP TRIGGER releases_no_update")
        database.execute("DROP TRIGGER releases_no_delete")
        database.execute(statement)
        database.commit()
    with pytest.raises(LedgerBroken, match=named):
        _ = home.ledger
    assert not home.files.head.exists()


def test_an_old_ledger_cannot_be_put_in_the_place_of_a_newer_one(home: Home) -> None:
    write_former(home, 1, 2)
    shutil.copy2(home.database, home.folder / "former.db")
    promote(home.ledger, 3)
    shutil.copy2(home.folder / "former.db", home.database)
    with pytest.raises(LedgerBroken, match="replaced by an older one") as error:
        _ = home.ledger
    assert error.value.kind == "replaced"


def test_a_migration_that_was_killed_after_its_head_is_done_again(home: Home) -> None:
    write_former(home, 1, 2)
    shutil.copy2(home.database, home.folder / "former.db")
    hashes = [row.hash for row in home.ledger.rows()]
    shutil.copy2(home.folder / "former.db", home.database)
    (home.folder / "keys" / "ledger.pub.pem").unlink()
    assert [row.hash for row in home.ledger.rows()] == hashes
    assert home.ledger.verify().number == 2


def test_an_old_ledger_moves_into_a_database_elsewhere(home: Home) -> None:
    write_former(home, 1, 2)
    other = sqlite_url(home.folder / "other.db")
    ledger = Ledger.at(other, home.database.parent, home.folder / "keys")
    assert [row.version for row in ledger.rows()] == [1, 2]
    assert not home.database.exists()
    assert home.database.with_name("releases.db.migrated").exists()
    assert ledger.verify().number == 2
