"""A ledger in a home of its own, and what an attacker does to its files."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from include.files import sqlite_url
from include.release.ledger import Entry, Ledger

TRIGGERS = ("release_ledger_no_update", "release_ledger_no_delete")


class Home:
    """The files of a ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "ledger" / "releases.db"
        self.head = folder / "ledger" / "releases.head"

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened anew as another process would."""
        return Ledger.at(sqlite_url(self.database), self.database.parent, self.folder / "keys")

    def attack(self, *statements: str) -> None:
        """Change rows past the triggers."""
        with closing(sqlite3.connect(self.database)) as database:
            for trigger in TRIGGERS:
                database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            for statement in statements:
                database.execute(statement)
            database.commit()

    def backup(self, name: str, *paths: Path) -> None:
        """Copy files aside."""
        for path in paths:
            shutil.copy2(path, path.with_name(f"{path.name}.{name}"))

    def restore(self, name: str, *paths: Path) -> None:
        """Put such copies back."""
        for path in paths:
            shutil.copy2(path.with_name(f"{path.name}.{name}"), path)


def promote(ledger: Ledger, version: int, use_case: str = "flight_delays") -> Entry:
    return ledger.append(
        "promoted", use_case, version, f"digest-{version}", "somebody", "because", {"auc": 0.7}
    )


def promote_all(ledger: Ledger, versions: Sequence[int]) -> list[Entry]:
    return [promote(ledger, version) for version in versions]
