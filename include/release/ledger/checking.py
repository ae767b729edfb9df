"""Whether rows are what was written: number, hash, signature and chain of each, and the head beside
them.

Pure but for the key; used on the database and on an export alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from include.errors import LedgerBroken
from include.release.ledger.database import edited
from include.release.ledger.entries import GENESIS, Entry
from include.release.ledger.head import Head, row_message

Kind = Literal[
    "edited",  # a row's content is not what its hash covers
    "removed",  # a number is missing
    "rewritten",  # content and hash agree, and the ledger's key has not signed them
    "tail cut",  # newer rows were there
    "deleted",  # all rows are gone
    "replaced",  # a ledger of the old form stands where a newer one was
    "head missing",
    "head false",
    "head older",
    "key missing",
    "unreadable",
]
BACKUP = "Restore the ledger from a backup."


class Verifier(Protocol):
    """Whoever can check a signature."""

    def holds(self, message: bytes, signature: str) -> bool:
        """Whether the signature belongs to the message."""


@dataclass(frozen=True)
class Mark:
    """How far a ledger has been verified: its newest row then, and where the older rows are read
    again next time.
    """

    number: int = 0
    hash: str = GENESIS
    again_from: int = 1


@dataclass(frozen=True)
class Witness:
    """Who else has written down a row: its number, its hash, and where that stands."""

    number: int
    hash: str
    where: str


def check_rows(rows: Iterable[Entry], after: Mark, key: Verifier) -> Mark:
    """Check rows in order, the first of which must follow `after`; how far they reach.

    Raises `LedgerBroken` naming the first that does not hold.
    """
    number, previous = after.number, after.hash
    for row in rows:
        if row.number != number + 1:
            raise LedgerBroken(
                "removed",
                number + 1,
                f"The ledger is broken: row {number + 1} is missing (the next one is"
                f" {row.number}). {BACKUP}",
            )
        _check_row(row, previous, key)
        number, previous = row.number, row.hash
    return Mark(number, previous, after.again_from)


def check_head(last: Mark, before_last: str, head: Head | None) -> bool:
    """Check that the head is about these rows; whether it has to follow by one row.

    `before_last` is the hash of the row before the newest. Of a writer that was killed between row
    and head one signed row is left ahead; more than one is no such accident. Raises
    `LedgerBroken`.
    """
    if head is None:
        if last.number:
            raise LedgerBroken(
                "head missing", 0, f"The ledger has {last.number} rows and no head. {BACKUP}"
            )
        return False
    if last.number < head.number:
        raise _shorter(last.number, head.number, f"its head of {head.recorded_at}")
    if last.number > head.number + 1:
        raise LedgerBroken(
            "head older",
            head.number + 1,
            f"The ledger has {last.number} rows and its head only {head.number}: the head was"
            f" replaced by an older one. {BACKUP}",
        )
    torn = last.number == head.number + 1
    if (before_last if torn else last.hash) != head.hash:
        raise _another(head.number, "the signed head")
    return torn


def check_witnesses(last: int, hashes: dict[int, str], witnesses: Sequence[Witness]) -> None:
    """Check that what others have written down is in the ledger; `hashes` holds their rows' hashes.

    It finds what rows and head alone cannot show: both were replaced by older ones. Raises
    `LedgerBroken`.
    """
    for witness in witnesses:
        if witness.number > last:
            raise _shorter(last, witness.number, witness.where)
        if witness.number and hashes.get(witness.number) != witness.hash:
            raise _another(witness.number, witness.where)


def _check_row(row: Entry, previous: str, key: Verifier) -> None:
    try:
        computed = row.computed_hash()
    except ValueError as error:
        raise edited(row.number, str(error)) from error
    if computed != row.hash:
        raise edited(row.number, "its hash is another")
    if not key.holds(row_message(row.hash), row.signature):
        raise forged(row.number)
    if row.previous != previous:
        raise _another(row.number, "the row before it")


def forged(number: int) -> LedgerBroken:
    """The error for a row whose hash the ledger's key has not signed."""
    return LedgerBroken(
        "rewritten",
        number,
        f"The ledger is broken: row {number} is not signed with the ledger's key; it was written"
        f" past Flightdeck, or rows and hashes were made anew. {BACKUP}",
    )


def _another(number: int, where: str) -> LedgerBroken:
    return LedgerBroken(
        "rewritten",
        number,
        f"The ledger is broken: row {number} is another one than {where} says. {BACKUP}",
    )


def _shorter(rows: int, expected: int, where: str) -> LedgerBroken:
    if rows == 0:
        return LedgerBroken(
            "deleted",
            0,
            f"The ledger was deleted: it is empty, and {where} says {expected} rows. {BACKUP}",
        )
    return LedgerBroken(
        "tail cut",
        rows + 1,
        f"The ledger is broken: it ends with row {rows}, and {where} says {expected} rows; the"
        f" newest were cut off. {BACKUP}",
    )
