"""What somebody with its files at hand can do to a release ledger in SQLite."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from include.release.ledger import GENESIS, Entry
from include.release.ledger.entries import canonical

TRIGGERS = ("release_ledger_no_update", "release_ledger_no_delete")
OLDER = "3"
"""The name of the backup whose head `head_older` puts back: of the third of five rows."""


class LedgerFiles:
    """The files of a ledger: its database, and the signed head beside; `rows` are what it held."""

    def __init__(self, folder: Path, rows: Sequence[Entry] = ()) -> None:
        self.database, self.head = folder / "releases.db", folder / "releases.head"
        self.rows = rows

    def attack(self, *statements: str) -> None:
        """Change rows past the triggers."""
        with closing(sqlite3.connect(self.database)) as database:
            for trigger in TRIGGERS:
                database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            for statement in statements:
                database.execute(statement)
            database.commit()

    def backup(self, name: str) -> None:
        """Copy both files aside."""
        for path in (self.database, self.head):
            shutil.copy2(path, path.with_name(f"{path.name}.{name}"))

    def restore(self, name: str, *paths: Path) -> None:
        """Put such copies back: of both files, or of these."""
        for path in paths or (self.database, self.head):
            shutil.copy2(path.with_name(f"{path.name}.{name}"), path)


Deed = Callable[[LedgerFiles], None]


@dataclass(frozen=True)
class Attack:
    """What is done to a ledger of five rows; what it is found as, the row that is named, and words
    of the error.
    """

    deed: Deed
    kind: str
    row: int
    words: str

    @property
    def name(self) -> str:
        """The deed in words."""
        return self.deed.__name__.replace("_", " ")


FORGED = (
    "INSERT INTO release_ledger SELECT 6, recorded_at, event, use_case, version, digest, actor,"
    " reason, evidence, '{row.previous}', '{row.hash}', signature, NULL FROM release_ledger"
    " WHERE number = 5"
)
WRITTEN = (
    "UPDATE release_ledger SET version = {row.version}, evidence = '{evidence}', previous ="
    " '{row.previous}', hash = '{row.hash}' WHERE number = {row.number}"
)


def edited(files: LedgerFiles) -> None:
    """A row has another version."""
    files.attack("UPDATE release_ledger SET version = 7 WHERE number = 2")


def edited_evidence(files: LedgerFiles) -> None:
    """The evidence of a row is gone."""
    files.attack("UPDATE release_ledger SET evidence = '{}' WHERE number = 1")


def unreadable_evidence(files: LedgerFiles) -> None:
    """The evidence of a row is no JSON."""
    files.attack("UPDATE release_ledger SET evidence = 'no JSON' WHERE number = 3")


def removed(files: LedgerFiles) -> None:
    """A row in the middle is gone."""
    files.attack("DELETE FROM release_ledger WHERE number = 2")


def first_removed(files: LedgerFiles) -> None:
    """The first row is gone."""
    files.attack("DELETE FROM release_ledger WHERE number = 1")


def tail_cut(files: LedgerFiles) -> None:
    """The two newest rows are gone."""
    files.attack("DELETE FROM release_ledger WHERE number >= 4")


def all_rows_deleted(files: LedgerFiles) -> None:
    """The table is empty."""
    files.attack("DELETE FROM release_ledger")


def file_deleted(files: LedgerFiles) -> None:
    """The database is gone, the head is there."""
    files.database.unlink()


def file_overwritten(files: LedgerFiles) -> None:
    """The file is no database any more."""
    files.database.write_bytes(b"no database at all" * 100)


def rewritten(files: LedgerFiles) -> None:
    """All rows with another version and hashes that fit."""
    previous, statements = GENESIS, []
    for row in files.rows:
        changed = replace(row, version=row.version + 10, previous=previous)
        changed = replace(changed, hash=changed.computed_hash())
        statements.append(WRITTEN.format(row=changed, evidence=canonical(changed.evidence)))
        previous = changed.hash
    files.attack(*statements)


def forged_row(files: LedgerFiles) -> None:
    """One more row whose hash and chain fit."""
    row = replace(files.rows[-1], number=6, previous=files.rows[-1].hash)
    row = replace(row, hash=row.computed_hash())
    files.attack(FORGED.format(row=row))


def head_deleted(files: LedgerFiles) -> None:
    """The head is gone."""
    files.head.unlink()


def head_edited(files: LedgerFiles) -> None:
    """The head says one row less."""
    files.head.write_text(files.head.read_text().replace('"number": 5', '"number": 4'))


def head_older(files: LedgerFiles) -> None:
    """The head is the one after the third row."""
    files.restore(OLDER, files.head)


def everything_deleted_but_the_keys(files: LedgerFiles) -> None:
    """Database and head are gone."""
    files.database.unlink()
    files.head.unlink()


ATTACKS = (
    Attack(edited, "edited", 2, r"row 2 has been changed"),
    Attack(edited_evidence, "edited", 1, r"row 1 has been changed"),
    Attack(unreadable_evidence, "edited", 3, r"row 3 has been changed"),
    Attack(removed, "removed", 2, r"row 2 is missing"),
    Attack(first_removed, "removed", 1, r"row 1 is missing"),
    Attack(tail_cut, "tail cut", 4, r"ends with row 3, .* says 5 rows"),
    Attack(all_rows_deleted, "deleted", 0, r"was deleted: it is empty"),
    Attack(file_deleted, "deleted", 0, r"was deleted: it is empty"),
    Attack(file_overwritten, "unreadable", 0, r"no database any more"),
    Attack(rewritten, "rewritten", 1, r"row 1 is not signed"),
    Attack(forged_row, "rewritten", 6, r"row 6 is not signed"),
    Attack(head_deleted, "head missing", 0, r"head .* is missing, although a ledger was begun"),
    Attack(head_edited, "head false", 0, r"head .* is not signed"),
    Attack(head_older, "head older", 4, r"5 rows and its head only 3"),
    Attack(everything_deleted_but_the_keys, "head missing", 0, r"a ledger was begun here"),
)
AT_ITS_END = frozenset(
    {
        tail_cut,
        all_rows_deleted,
        file_deleted,
        file_overwritten,
        rewritten,
        forged_row,
        head_deleted,
        head_edited,
        head_older,
        everything_deleted_but_the_keys,
    }
)
"""The deeds after which nothing more is appended, whoever verifies or not."""
