"""The release ledger (docs/releases-ledger.md)."""

from include.errors import LedgerBroken
from include.release.ledger.checking import Kind, Mark, Witness
from include.release.ledger.entries import GENESIS, Entry, Event, run_name
from include.release.ledger.ledger import Ledger
from include.release.ledger.traffic import ServedArm, Traffic

__all__ = [
    "GENESIS",
    "Entry",
    "Event",
    "Kind",
    "Ledger",
    "LedgerBroken",
    "Mark",
    "ServedArm",
    "Traffic",
    "Witness",
    "run_name",
]
