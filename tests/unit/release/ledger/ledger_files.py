"""A ledger in a home of its own, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.files import sqlite_url
from include.release.ledger import Entry, Ledger
from proofs.harness.damage.ledger import LedgerFiles


class Home:
    """The folder of a ledger with its keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = LedgerFiles(folder / "ledger")
        self.database = self.files.database

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened anew as another process would."""
        return Ledger.at(sqlite_url(self.database), self.database.parent, self.folder / "keys")


def promote(ledger: Ledger, version: int, use_case: str = "flight_delays") -> Entry:
    return ledger.append(
        "promoted", use_case, version, f"digest-{version}", "somebody", "because", {"auc": 0.7}
    )


def promote_all(ledger: Ledger, versions: Sequence[int]) -> list[Entry]:
    return [promote(ledger, version) for version in versions]
