"""Commits that carry more than rows: a note about them, and the number of what they were made from,
in one transaction with the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from include.tables.predicates import window_predicate
from include.tables.remote import reaching
from include.tables.store import TableStore, Window

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Commit:
    """What goes with the rows: `note` under `key`, and the record `(subject, number)` of what they
    were made from; the numbers of a subject only grow.
    """

    key: str
    note: str
    mark: tuple[str, int] | None = None

    def properties(self, *, first: bool = False) -> CommitProperties:
        """The commit's properties as Delta takes them; the first of a table is tried once."""
        marks = (
            [] if self.mark is None else [Transaction(app_id=self.mark[0], version=self.mark[1])]
        )
        once = {"max_commit_retries": 0} if first else {}
        return CommitProperties(
            custom_metadata={self.key: self.note}, app_transactions=marks, **once
        )


def overwrite(
    tables: TableStore,
    name: str,
    rows: pa.Table | pa.RecordBatchReader,
    commit: Commit,
    window: Window | None = None,
) -> None:
    """Make `rows` the rows of the window, or all rows, in one commit with what goes with them.

    A reader of batches is written as it comes, so not all rows need memory. Raises
    `include.tables.fence.Overtaken` when another writer has committed meanwhile or the table holds
    the commit's number already, and `include.tables.store.WriteFailed` when the rows cannot be had
    or written.
    """
    how: dict[str, Any] = {"mode": "overwrite", "schema_mode": "overwrite"}
    if window is not None:
        how = {"mode": "overwrite", "schema_mode": "merge", "predicate": window_predicate(*window)}
    if not tables.exists(name):
        tables.write_first(name, rows, commit.properties(first=True))
        return
    table = _behind(tables.open(name), name, commit)
    with reaching(tables.root):
        write_deltalake(table, rows, commit_properties=commit.properties(), **how)


def _behind(table: DeltaTable, name: str, commit: Commit) -> DeltaTable:
    """The table, if it does not hold the commit's number yet: whoever has read that it does not may
    have read an older version than the one which is written to.
    """
    if commit.mark is not None:
        subject, number = commit.mark
        recorded = table.transaction_version(subject)
        if recorded is not None and recorded >= number:
            raise CommitFailedError(f"{name} has just got number {recorded} of {subject!r}")
    return table


def last_note(tables: TableStore, name: str, key: str) -> str | None:
    """The note under `key` of the table's newest commit; `None` when it carries none."""
    table = tables.open(name)
    with reaching(tables.root):
        note = table.history(1)[0].get(key)
    return None if note is None else str(note)
