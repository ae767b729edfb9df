"""The ledger in one file that proves itself: all rows with their signatures, and the signed head.

Whoever has the public key checks it offline, without Flightdeck's home or database. Of an export of
one use case the other rows are there by number, hash and signature alone, so that the chain is
whole and their content is nobody's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from include.errors import LedgerBroken, ReleaseError
from include.files import write
from include.release.ledger.checking import Mark, check_head, check_rows, forged
from include.release.ledger.entries import Entry, entry_of, now
from include.release.ledger.head import Head, row_message
from include.release.ledger.keys import public_key_of, read_public_key, signature_holds
from include.release.ledger.ledger import Ledger

FORMAT = "flightdeck-releases/1"
CHAIN_FIELDS = ("number", "previous", "hash", "signature")


@dataclass(frozen=True)
class CheckedExport:
    """An export that holds: when it was made, its rows, and how many rows the ledger had.

    `trusted` is False where it was checked with the key that came in the file itself, which proves
    that it is whole and not whose it is.
    """

    exported_at: str
    entries: tuple[Entry, ...]
    rows: int
    trusted: bool


class PublicKey:
    """The public half of the pair that rows and head are signed with."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def holds(self, message: bytes, signature: str) -> bool:
        """Whether the signature belongs to message and key."""
        return signature_holds(self._key, message, signature)


def export(ledger: Ledger, path: Path, use_case: str | None = None) -> int:
    """Verify the ledger and write it to `path`; how many rows are whole in it.

    Raises `LedgerBroken`, `ReleaseError` where there is no row.
    """
    document = export_document(ledger, use_case, now())
    write(path, json.dumps(document, indent=1))
    return sum("event" in row for row in document["rows"])


def export_document(ledger: Ledger, use_case: str | None, moment: datetime) -> dict[str, Any]:
    """The export that says it was made at `moment`, as plain JSON.

    Raises as `export`.
    """
    ledger.verify()
    head = ledger.signed_head()
    rows = ledger.rows()
    if head is None or not rows:
        raise ReleaseError("The ledger has no row yet: there is nothing to export.")
    whole = [row for row in rows if use_case in (None, row.use_case)]
    if not whole:
        valid = sorted({row.use_case for row in rows})
        raise ReleaseError(f"The ledger has no row about {use_case!r}; valid: {valid}.")
    return {
        "format": FORMAT,
        "exported_at": moment.isoformat(),
        "public_key": ledger.keys.public_path.read_text(encoding="ascii"),
        "head": head,
        "rows": [_exported(row, hidden=row not in whole) for row in rows[: head["number"]]],
    }


def verify_export(path: Path, key_path: Path | None = None) -> CheckedExport:
    """Check an export with the public key in `key_path`, or with its own.

    Raises `LedgerBroken` naming what does not hold, `ReleaseError` for what is no export.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{path} is no export of a release ledger ({error!r}).") from error
    return verify_content(content, str(path), key_path)


def verify_content(content: bytes, where: str, key_path: Path | None = None) -> CheckedExport:
    """The same of an export's content, which lies at `where`."""
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise ReleaseError(f"{where} has format {document['format']!r}; valid: {FORMAT!r}.")
        own = public_key_of(document["public_key"].encode())
        key = PublicKey(own if key_path is None else read_public_key(key_path))
        head = _head(document["head"], key)
        entries, mark, before = _checked_rows(document["rows"], key)
        exported_at = str(document["exported_at"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{where} is no export of a release ledger ({error!r}).") from error
    check_head(mark, before, head)
    return CheckedExport(exported_at, tuple(entries), mark.number, key_path is not None)


def _exported(row: Entry, *, hidden: bool) -> dict[str, Any]:
    content = row.as_json()
    return {name: content[name] for name in CHAIN_FIELDS} if hidden else content


def _head(content: dict[str, Any], key: PublicKey) -> Head:
    head = Head(int(content["number"]), str(content["hash"]), str(content["recorded_at"]))
    if not key.holds(head.message(), content["signature"]):
        raise LedgerBroken(
            "head false",
            0,
            "The export's head is not signed with this key: it is another ledger's, or it was"
            " changed.",
        )
    return head


def _checked_rows(rows: list[dict[str, Any]], key: PublicKey) -> tuple[list[Entry], Mark, str]:
    """The whole rows, how far the chain reaches, and the hash before the last."""
    mark, before, entries = Mark(), Mark().hash, []
    for content in rows:
        before = mark.hash
        if "event" in content:
            entry = entry_of(content)
            mark = check_rows([entry], mark, key)
            entries.append(entry)
        else:
            mark = _checked_link(content, mark, key)
    return entries, mark, before


def _checked_link(content: dict[str, Any], mark: Mark, key: PublicKey) -> Mark:
    number, previous, own, signature = (content[name] for name in CHAIN_FIELDS)
    fits = (number, previous) == (mark.number + 1, mark.hash)
    if not fits or not key.holds(row_message(own), signature):
        raise forged(mark.number + 1)
    return Mark(number, own)
