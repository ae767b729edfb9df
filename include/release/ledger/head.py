"""The ledger's head: number, hash and time of its newest row, signed, in a file of its own.

Rows and head are apart, so that a tail that was cut, or a ledger that was deleted, contradicts the
head. It is written after every row, durably; a ledger is begun with a head of number 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785

from include.errors import LedgerBroken
from include.files import write
from include.release.ledger.entries import GENESIS, Entry
from include.release.ledger.keys import Keys


@dataclass(frozen=True)
class Head:
    """What the newest row was; `number` is also the length of the ledger."""

    number: int
    hash: str
    recorded_at: str

    def message(self) -> bytes:
        """What is signed."""
        return b"flightdeck ledger head\n" + rfc8785.dumps(
            {"number": self.number, "hash": self.hash, "recorded_at": self.recorded_at}
        )


def row_message(row_hash: str) -> bytes:
    """What the signature of a row covers."""
    return b"flightdeck ledger row\n" + row_hash.encode()


def head_of(entry: Entry | None, moment: datetime) -> Head:
    """The head after a row; without one, that of an empty ledger begun at `moment`."""
    if entry is None:
        return Head(0, GENESIS, moment.isoformat())
    return Head(entry.number, entry.hash, entry.recorded_at.isoformat())


def write_head(path: Path, head: Head, keys: Keys) -> None:
    """Sign the head and replace the file, durably."""
    write(path, json.dumps(signed(head, keys), indent=1), durable=True)


def signed(head: Head, keys: Keys) -> dict[str, Any]:
    """The head with its signature, as plain JSON."""
    return {
        "number": head.number,
        "hash": head.hash,
        "recorded_at": head.recorded_at,
        "signature": keys.sign(head.message()),
    }


def read_head(path: Path, keys: Keys) -> Head | None:
    """The head, its signature checked; `None` where no ledger has been begun.

    Raises `LedgerBroken` where it is missing beside a public key, or does not hold.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if keys.public_path.exists():
            raise LedgerBroken(
                "head missing",
                0,
                f"The ledger's head {path} is missing, although a ledger was begun here"
                f" ({keys.public_path} is there). Put it back from a backup.",
            ) from None
        return None
    try:
        fields = json.loads(content)
        head = Head(int(fields["number"]), str(fields["hash"]), str(fields["recorded_at"]))
        holds = keys.holds(head.message(), str(fields["signature"]))
    except (ValueError, KeyError, TypeError):
        holds = False
    if not holds:
        raise LedgerBroken(
            "head false",
            0,
            f"The ledger's head {path} is not signed with the ledger's key: it was changed. Put it"
            " back from a backup.",
        )
    return head
