"""Ledgers: small Delta tables of facts that many processes write at the same time.

Every change but a plain append is one optimistic transaction: it is computed from the version that
was read and committed against it, so of two that overlap one fails to commit, reads again and
decides again. No row is lost, and the same rows again make no new version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from deltalake import CommitProperties, Transaction, write_deltalake

from include.tables.fence import committing
from include.tables.remote import reaching
from include.tables.scan import scan_table
from include.tables.store import TableStore, same_rows

WRITER = "ledger"

Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Ledger:
    """One table of facts; `key` names the columns that identify what a row is about."""

    tables: TableStore
    name: str
    schema: Mapping[str, Any]
    key: tuple[str, ...] = ()

    def read(self, where: pl.Expr | None = None) -> pl.DataFrame:
        """The rows (for which `where` holds); none, with the same columns, before the first one.

        A column that an older table lacks is null.
        """
        empty = pl.DataFrame(schema=dict(self.schema))
        if not self.tables.exists(self.name):
            return empty
        return pl.concat([empty, self.tables.read(self.name, where=where)], how="diagonal")

    def append(self, rows: pl.DataFrame) -> None:
        """Append rows that are new by their nature; writers never get into each other's way."""
        uri = self.tables.uri(self.name)

        def attempt() -> None:
            with reaching(uri):
                write_deltalake(
                    uri, rows.to_arrow(), mode="append", storage_options=self.tables.options
                )

        committing(uri, attempt)
        self.tables.make_durable(self.name)

    def add(self, rows: pl.DataFrame) -> None:
        """Append the rows whose key is not there yet; a row that is there stays as it is."""

        def change(current: pl.DataFrame) -> pl.DataFrame:
            new = rows.join(current, on=list(self.key), how="anti", nulls_equal=True)
            return pl.concat([current, new], how="diagonal")

        self.amend(change)

    def upsert(self, rows: pl.DataFrame) -> None:
        """Make `rows` all the rows of their keys; the rows of other keys stay."""

        def change(current: pl.DataFrame) -> pl.DataFrame:
            others = current.join(rows, on=list(self.key), how="anti", nulls_equal=True)
            return pl.concat([others, rows], how="diagonal")

        self.amend(change)

    def amend(self, change: Change) -> pl.DataFrame:
        """Replace all rows by `change(rows)` and return them; it may be called again.

        Raises `DataError` when other writers win every attempt.
        """
        return committing(self.tables.uri(self.name), lambda: self._try_to_amend(change))

    def _try_to_amend(self, change: Change) -> pl.DataFrame:
        empty = pl.DataFrame(schema=dict(self.schema))
        if not self.tables.exists(self.name):
            first = CommitProperties(max_commit_retries=0)
            self.tables.write_first(self.name, empty.to_arrow(), first)
        table = self.tables.open(self.name)
        with reaching(self.tables.root):
            stored = scan_table(table).collect()
        before = pl.concat([empty, stored], how="diagonal")
        after = change(before)
        if same_rows(after, before):
            return after
        written = table.transaction_version(WRITER)
        mark = Transaction(app_id=WRITER, version=0 if written is None else written + 1)
        # Written against the version that was read: a commit in between makes this one fail instead
        # of losing its rows.
        with reaching(self.tables.root):
            write_deltalake(
                table,
                after.to_arrow(),
                mode="overwrite",
                schema_mode=None if dict(stored.schema) == dict(after.schema) else "overwrite",
                commit_properties=CommitProperties(app_transactions=[mark]),
            )
        self.tables.make_durable(self.name)
        return after
