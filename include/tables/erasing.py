"""Rows out of a table for good: out of its newest version, its older versions, and its log, whose
statistics name the least and the largest value of each file.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, write_deltalake

from include.object_storage import ObjectStore
from include.tables.durable import local_path
from include.tables.fence import committing
from include.tables.remote import reaching
from include.tables.scan import scan_table
from include.tables.store import LOG_FOLDER, TableStore

UNCOMMITTED_SECONDS = 86_400
"""A file that no commit names may be a writer's that is about to commit; after a day it is not."""
MARK = "flightdeck.erasure"
DEPTH = 6
VERSION = re.compile(r"^(\d{20})\.")
PARQUET = ".parquet"

Matching = Callable[[pl.DataFrame], pl.Series]
"""Which rows of a frame are to go: booleans, one per row."""


def all_tables(tables: TableStore) -> list[str]:
    """The names of all tables of the store."""
    return sorted(_below(tables, "", DEPTH))


def count_rows(tables: TableStore, name: str, unwanted: Matching) -> int:
    """How many rows of the newest version are to go."""
    return int(unwanted(tables.read(name)).sum())


def remove_rows(tables: TableStore, name: str, unwanted: Matching) -> int:
    """Write the table again without those rows, in one commit; how many went.

    Other writers' commits are never lost: where one came in between, the rows are read again.
    The commit names no value, as a deletion by a condition would.
    """
    return _rewrite(tables, name, lambda frame: frame.filter(~unwanted(frame)), unwanted)


def redact(
    tables: TableStore, name: str, column: str, redacted: Callable[[str], str], unwanted: Matching
) -> int:
    """Write the table again with the text of a column replaced in those rows; how many they are."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        texts = [None if text is None else redacted(text) for text in frame[column]]
        return frame.with_columns(pl.Series(column, texts, dtype=frame.schema[column]))

    return _rewrite(tables, name, change, unwanted)


def _rewrite(
    tables: TableStore,
    name: str,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    unwanted: Matching,
) -> int:
    def attempt() -> int:
        table = tables.open(name)
        with reaching(tables.root):
            stored = scan_table(table).collect()
            count = int(unwanted(stored).sum())
            if count:
                write_deltalake(
                    table,
                    change(stored).to_arrow(),
                    mode="overwrite",
                    commit_properties=_said(max_commit_retries=0),
                )
        return count

    changed = committing(tables.uri(name), attempt)
    tables.make_durable(name)
    return changed


def holds_former(tables: TableStore, name: str, unwanted: Matching) -> bool:
    """Whether a file that the newest version does not use holds such rows, or the history of a
    table out of which rows were taken is still there.
    """
    if _is_unfinished(tables, name):
        return True
    for file in _unused(tables, name):
        with reaching(tables.root):
            rows = pl.read_parquet(
                f"{tables.uri(name)}/{file}", storage_options=tables.options, glob=False
            )
        if unwanted(rows).any():
            return True
    return False


def forget_history(tables: TableStore, name: str) -> None:
    """Leave nothing but the newest version: the files of older ones are removed, and the log goes
    into one checkpoint, which keeps the offsets of its writers.

    Killed on the way it is told by `holds_former`, for the log of a table says since the first
    commit that its history is to go. A writer that has read an older version and not committed yet
    fails, and loses nothing but its try. A file that is in no commit is left for a day: it may be a
    writer's that is about to commit.
    """
    if not _is_unfinished(tables, name):
        _mark(tables, name)
    doomed = [file for file in _unused(tables, name) if _is_nobodys(tables, name, file)]
    _remove(tables, name, doomed)
    table = tables.open(name)
    with reaching(tables.root):
        table.create_checkpoint()
    newest = int(table.version())
    _remove(tables, name, [file for file in _files(tables, name) if _is_older(file, newest)])
    tables.make_durable(name)


def _mark(tables: TableStore, name: str) -> None:
    """Say in a commit without a row that the history is to go."""

    def attempt() -> None:
        table = tables.open(name)
        with reaching(tables.root):
            nothing = scan_table(table).head(0).collect()
            write_deltalake(table, nothing.to_arrow(), mode="append", commit_properties=_said())

    committing(tables.uri(name), attempt)


def _said(**options: int) -> CommitProperties:
    return CommitProperties(custom_metadata={MARK: "history"}, **options)


def _is_unfinished(tables: TableStore, name: str) -> bool:
    """Whether commits from before a marked one are still there."""
    commits = _commits(tables, name)
    return any(MARK.encode() in _content(tables, name, file) for file in commits[1:])


def _commits(tables: TableStore, name: str) -> list[str]:
    """The files of the log's commits, the oldest first."""
    return [
        file
        for file in _files(tables, name)
        if file.startswith(f"{LOG_FOLDER}/") and file.endswith(".json")
    ]


def _unused(tables: TableStore, name: str) -> list[str]:
    """The data files that the newest version does not use."""
    with reaching(tables.root):
        used = {uri.rsplit("/", 1)[-1] for uri in tables.open(name).file_uris()}
    return [
        file
        for file in _files(tables, name)
        if file.endswith(PARQUET)
        and not file.startswith(f"{LOG_FOLDER}/")
        and Path(file).name not in used
    ]


def _is_nobodys(tables: TableStore, name: str, file: str) -> bool:
    """Whether no writer is about to commit the file: a commit names it, or it is old."""
    folder, text = local_path(tables.uri(name)), Path(file).name.encode()
    if any(text in _content(tables, name, commit) for commit in _commits(tables, name)):
        return True
    age = 0.0 if folder is None else time.time() - (folder / file).stat().st_mtime
    return age > UNCOMMITTED_SECONDS


def _below(tables: TableStore, folder: str, depth: int) -> Iterator[str]:
    for name in tables.below(folder) if folder else _tops(tables):
        if tables.exists(name):
            yield name
        elif depth:
            yield from _below(tables, name, depth - 1)


def _tops(tables: TableStore) -> list[str]:
    folder = local_path(tables.root)
    if folder is None:
        files = ObjectStore(tables.root).tags()
        return sorted({file.partition("/")[0] for file in files if "/" in file})
    return (
        sorted(part.name for part in folder.iterdir() if part.is_dir()) if folder.is_dir() else []
    )


def _files(tables: TableStore, name: str) -> list[str]:
    """All files below the table, by their names from there on."""
    folder = local_path(tables.uri(name))
    if folder is None:
        return sorted(ObjectStore(tables.uri(name)).tags())
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _is_older(file: str, newest: int) -> bool:
    """Whether a file of the log is about versions before the newest only."""
    if not file.startswith(f"{LOG_FOLDER}/"):
        return False
    number = VERSION.match(file.removeprefix(f"{LOG_FOLDER}/"))
    return number is not None and int(number[1]) < newest


def _remove(tables: TableStore, name: str, files: list[str]) -> None:
    folder = local_path(tables.uri(name))
    if folder is None:
        ObjectStore(tables.uri(name)).delete(files)
        return
    for file in files:
        (folder / file).unlink(missing_ok=True)


def _content(tables: TableStore, name: str, file: str) -> bytes:
    folder = local_path(tables.uri(name))
    if folder is not None:
        return (folder / file).read_bytes()
    stored = ObjectStore(tables.uri(name)).read(file)
    return b"" if stored is None else stored.content
