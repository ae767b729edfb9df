"""Who was erased: digests of the values that no table may hold again, by use case and column.

The digest is HMAC-SHA-256 (RFC 2104) of column and value under a key that lies in
`<home>/keys/erasure.key` (made on first use, mode 0600), so that the list itself names nobody.
Without that file the list matches nothing any more: backups hold it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import polars as pl

from include.errors import DataError
from include.files import write
from include.settings import Settings
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore

TABLE = "privacy/erased"
KEY_BYTES = 32
SCHEMA: dict[str, Any] = {
    "use_case": pl.String,
    "column": pl.String,
    "digest": pl.String,
    "erased_at": TIMESTAMP,
}


class ErasedKeys:
    """The list of one use case, as it was read; `add` makes it longer."""

    def __init__(self, settings: Settings, use_case: str) -> None:
        self.use_case = use_case
        self._path = settings.keys_dir / "erasure.key"
        self._ledger = Ledger(
            TableStore(settings.tables_uri), TABLE, SCHEMA, ("use_case", "column", "digest")
        )
        rows = self._ledger.read(pl.col("use_case") == use_case).to_dicts()
        self._digests = {(row["column"], row["digest"]) for row in rows}
        self._columns = {str(row["column"]) for row in rows}
        self._key = self._read_key() if rows else b""

    @property
    def columns(self) -> set[str]:
        """The columns of which there are values on the list."""
        return self._columns

    def digest(self, column: str, value: object) -> str:
        """What stands on the list for a value of a column, in hexadecimal."""
        self._key = self._key or self._read_key()
        return hmac.new(self._key, f"{column}\0{value}".encode(), hashlib.sha256).hexdigest()

    def add(
        self, column: str, values: Iterable[object], moment: datetime, *, write_down: bool = True
    ) -> int:
        """Put values on the list, and write that down; how many were not on it yet."""
        pairs = {(column, self.digest(column, value)) for value in values if value is not None}
        new = sorted(pairs - self._digests)
        self._digests.update(new)
        self._columns.update(name for name, _ in new)
        if new and write_down:
            rows = [(self.use_case, *pair, moment) for pair in new]
            self._ledger.add(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
        return len(new)

    def holds(self, column: str, value: object) -> bool:
        """Whether a value is on the list."""
        return (
            value is not None
            and column in self.columns
            and (column, self.digest(column, value)) in self._digests
        )

    def matching(self, frame: pl.DataFrame) -> pl.Series:
        """Which rows of a frame hold a value of the list in its column: booleans, one per row."""
        mask = pl.repeat(value=False, n=frame.height, eager=True)
        for column in sorted(self.columns & set(frame.columns)):
            values = frame[column].cast(pl.String)
            erased = [value for value in values.unique() if self.holds(column, value)]
            if erased:
                mask = mask | values.is_in(erased).fill_null(value=False)
        return mask

    def without(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of a frame that hold no value of the list."""
        return frame.filter(~self.matching(frame)) if self._digests else frame

    def exported(self) -> dict[str, Any]:
        """The list with its key, for a home that is restored from a backup: as secret as that."""
        rows = self._ledger.read(pl.col("use_case") == self.use_case).to_dicts()
        listed = [{**row, "erased_at": row["erased_at"].isoformat()} for row in rows]
        return {"use_case": self.use_case, "key": self._read_key().hex(), "rows": listed}

    def take_over(self, exported: Mapping[str, Any]) -> int:
        """Put on the list what `exported` gave in this home or in the one that it was restored
        from; how many were not on it.

        Raises `DataError` where it is another use case's, or was written under another key.
        """
        if exported.get("use_case") != self.use_case:
            raise DataError(
                f"the list is that of {exported.get('use_case')!r}, not of {self.use_case!r}"
            )
        key = bytes.fromhex(str(exported["key"]))
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            write(self._path, key, durable=True, replace=False, mode=0o600)
        if self._path.read_bytes() != key:
            raise DataError(
                f"the list was written under another key than {self._path}, so that it recognises"
                " nobody here; use a list of this home, or of the one that was restored"
            )
        self._key = key
        pairs = {(str(row["column"]), str(row["digest"])): row for row in exported["rows"]}
        new = [pair for pair in pairs if pair not in self._digests]
        rows = [
            (self.use_case, *pair, datetime.fromisoformat(pairs[pair]["erased_at"])) for pair in new
        ]
        self._ledger.add(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
        self._digests.update(new)
        self._columns.update(name for name, _ in new)
        return len(new)

    def _read_key(self) -> bytes:
        if not self._path.exists():
            if self._digests:
                raise DataError(
                    f"{self._path} is gone, without which nobody on the list of erased keys is"
                    " recognised. Put it back from a backup; nothing was read or written."
                )
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Of two processes that make the key at once, one wins for both.
            with suppress(FileExistsError):
                key = secrets.token_bytes(KEY_BYTES)
                write(self._path, key, durable=True, replace=False, mode=0o600)
        return self._path.read_bytes()
