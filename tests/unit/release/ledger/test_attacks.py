"""What somebody with the files at hand can do to a ledger: each is found and named, and nothing is
appended to what is broken at its end.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from include.errors import LedgerBroken
from include.release.ledger import Entry, Ledger, Mark, Witness
from include.release.ledger import ledger as ledger_module
from include.settings import PROJECT_ROOT
from proofs.harness.damage.ledger import AT_ITS_END, ATTACKS, OLDER, Attack, Deed
from tests.unit.release.ledger.ledger_files import Home, promote, promote_all


@pytest.fixture
def rows(home: Home) -> list[Entry]:
    """Five rows, and the head as it was after the third."""
    rows = promote_all(home.ledger, (1, 2, 3))
    home.files.backup(OLDER)
    return [*rows, *promote_all(home.ledger, (4, 5))]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_found_and_named(home: Home, rows: list[Entry], attack: Attack) -> None:
    home.ledger.verify_new()
    home.files.rows = rows
    attack.deed(home.files)
    for verify in (Ledger.verify, Ledger.verify_new):
        with pytest.raises(LedgerBroken, match=attack.words) as error:
            verify(home.ledger)
        assert (error.value.kind, error.value.row) == (attack.kind, attack.row)


@pytest.mark.parametrize("deed", sorted(AT_ITS_END, key=str), ids=lambda deed: deed.__name__)
def test_nothing_is_appended_to_a_ledger_that_is_broken_at_its_end(
    home: Home, rows: list[Entry], deed: Deed
) -> None:
    home.files.rows = rows
    deed(home.files)
    with pytest.raises(LedgerBroken):
        promote(home.ledger, 9)
    with pytest.raises(LedgerBroken):
        home.ledger.verify()


def test_rows_and_head_from_one_backup_are_found_by_the_last_verification_alone(
    home: Home, rows: list[Entry]
) -> None:
    """Rows and head agree, so nothing else can tell that newer rows were there."""
    home.ledger.verify_new()
    home.files.restore(OLDER)
    assert home.ledger.verify().number == 3
    with pytest.raises(LedgerBroken, match="its last verification says 5 rows") as error:
        home.ledger.verify_new()
    assert (error.value.kind, error.value.row) == ("tail cut", 4)


def test_rows_and_head_from_one_backup_are_found_by_whoever_wrote_a_row_down(
    home: Home, rows: list[Entry]
) -> None:
    plan = Witness(5, rows[4].hash, "plan.json of flight_delays")
    assert home.ledger.verify(witnesses=[plan]).number == 5
    home.files.restore(OLDER)
    with pytest.raises(LedgerBroken, match=r"plan\.json of flight_delays says 5 rows") as error:
        home.ledger.verify(witnesses=[plan])
    assert error.value.kind == "tail cut"
    promote_all(home.ledger, (8, 9))
    with pytest.raises(LedgerBroken, match=r"row 5 is another one than plan\.json") as error:
        home.ledger.verify(witnesses=[plan])
    assert error.value.kind == "rewritten"


def test_a_witness_of_an_empty_ledger_names_it_deleted(home: Home) -> None:
    with pytest.raises(LedgerBroken, match="was deleted"):
        home.ledger.verify(witnesses=[Witness(2, "h", "plan.json")])


def test_a_false_mark_is_not_believed(home: Home, rows: list[Entry]) -> None:
    home.ledger.verify_new()
    mark = home.ledger.mark_path
    mark.write_text(mark.read_text().replace('"number": 5', '"number": 9'))
    assert home.ledger.verify_new().number == 5


def test_verification_reads_new_rows_and_a_constant_number_of_old_ones(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "READ_AGAIN", 3)
    rows = promote_all(home.ledger, range(1, 11))
    read: list[int] = []
    computed = Entry.computed_hash
    monkeypatch.setattr(
        Entry, "computed_hash", lambda entry: read.append(entry.number) or computed(entry)
    )
    mark = home.ledger.verify()
    assert read == [*range(1, 11)]
    windows = []
    for _ in range(4):
        read.clear()
        mark = home.ledger.verify(mark)
        windows.append(tuple(read))
    assert windows == [(1, 2, 3), (4, 5, 6), (7, 8, 9), (10,)]
    promote(home.ledger, 11)
    read.clear()
    assert home.ledger.verify(Mark(10, rows[-1].hash, 1)).number == 11
    assert read == [1, 2, 3, 11]
    home.files.attack("UPDATE release_ledger SET reason = 'x' WHERE number = 5")
    start = Mark(10, rows[-1].hash, 1)
    start = home.ledger.verify(start)
    with pytest.raises(LedgerBroken, match="row 5 has been changed"):
        home.ledger.verify(start)


KILLED = """
import os, sys, signal
from pathlib import Path
from include.release.ledger import ledger as module
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
ledger = module.Ledger.at(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
ledger.append("promoted", "flight_delays", 1, "d", "a", "r", {})
module.write_head = die
ledger.append("promoted", "flight_delays", 2, "d", "a", "r", {})
"""


@pytest.mark.parametrize("healed_by", ["verify", "append"])
def test_a_writer_killed_between_row_and_head_leaves_a_ledger_that_heals(
    home: Home, healed_by: str
) -> None:
    folder = home.database.parent
    command = [sys.executable, "-c", KILLED, f"sqlite:///{home.database}", str(folder)]
    run = subprocess.run([*command, str(home.folder / "keys")], cwd=PROJECT_ROOT, check=False)
    assert run.returncode == -signal.SIGKILL
    assert '"number": 1' in home.files.head.read_text()
    assert len(home.ledger.rows()) == 2
    if healed_by == "verify":
        assert home.ledger.verify().number == 2
        assert '"number": 2' in home.files.head.read_text()
    promote(home.ledger, 3)
    assert home.ledger.verify().number == 3
    home.files.attack("DELETE FROM release_ledger WHERE number = 3")
    with pytest.raises(LedgerBroken, match="ends with row 2"):
        home.ledger.verify()
