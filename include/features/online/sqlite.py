"""Reading Feast's SQLite online store: all views by one statement, so by one snapshot.

What was read is kept, and used only as long as SQLite says that no other connection has committed
anything since (`PRAGMA data_version`, asked at every look-up): a value is never older than the
store.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from include.errors import FeatureStoreError
from include.features.online.reader import (
    CACHED_ANSWERS,
    Cached,
    Key,
    StoredRow,
    empty_columns,
    feature_columns,
    key_bytes,
    values_by_bytes,
)
from include.features.online.sqlite_lock import ReadLocks
from include.features.views import View

if TYPE_CHECKING:
    from feast import FeatureStore

READ_BATCH = 1024


class SqliteReader:
    """A `Reader`. Never waits for a lock: raises `sqlite3.OperationalError` instead, and
    `FeatureStoreError` while the file is not there.
    """

    blocks: ClassVar[bool] = False

    def __init__(self, store: FeatureStore, views: Sequence[View]) -> None:
        from feast.infra.online_stores.sqlite import SqliteOnlineStore, _table_id, convert_timestamp

        config = store.config
        versioned = config.registry.enable_online_feature_view_versioning
        self._path = os.fspath(Path(SqliteOnlineStore._get_db_path(config)).absolute())
        self._tables = [
            _table_id(config.project, store.get_feature_view(view.name), versioned)
            for view in views
        ]
        self._columns = [feature_columns(view) for view in views]
        self._empty = [empty_columns(view) for view in views]
        self._bytes = [key_bytes(store, view) for view in views]
        self._values = values_by_bytes()
        self._moments: Cached[Any, datetime] = Cached(
            lambda stamp: convert_timestamp(stamp).replace(tzinfo=UTC)
        )
        self._lock = Lock()
        self._locks = ReadLocks(self._path)
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._state: tuple[int, int] | None = None
        self._cached: list[dict[Key, StoredRow | None]] = []
        self._count = 0
        self._statements: dict[tuple[int, ...], str] = {}

    def read(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]:
        """See `Reader`."""
        with self._lock:
            cached_by_view = self._current()
            missing = [
                [key for key in keys if key not in cached]
                for keys, cached in zip(keys_by_view, cached_by_view, strict=True)
            ]
            while any(missing):
                self._fetch(missing)
                version = self._version()
                if version == self._state[1]:  # type: ignore[index]  # set by `_current`
                    break
                # Something was committed meanwhile: what was kept may be older than what was read
                # just now.
                cached_by_view = self._forget((self._state[0], version))  # type: ignore[index]
                missing = [list(keys) for keys in keys_by_view]
            return cached_by_view

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._locks.close()

    def check(self) -> None:
        """Raise what a read would raise now: the file is not there, or locked."""
        with self._lock:
            self._current()

    def _current(self) -> list[dict[Key, StoredRow | None]]:
        """What is kept and still holds; empty after a commit to the store, or when another file
        stands in its place.
        """
        try:
            file = os.stat(self._path).st_ino  # noqa: PTH116  # at every look-up, and a Path takes longer
        except FileNotFoundError as error:
            raise FeatureStoreError(
                f"its file {self._path} is not there. Run the features process (its step"
                " materialise_online writes it), or restore the file"
            ) from error
        if self._connection is None or self._state is None or self._state[0] != file:
            self._open()
        if self._locks.are_taken():
            raise sqlite3.OperationalError("the store is locked by another process")
        state = file, self._version()
        if state != self._state or self._count > CACHED_ANSWERS:
            return self._forget(state)
        return self._cached

    def _version(self) -> int:
        """What changes with every commit of another connection."""
        version: int = self._cursor.execute("PRAGMA data_version").fetchone()[0]  # type: ignore[union-attr]
        return version

    def _forget(self, state: tuple[int, int]) -> list[dict[Key, StoredRow | None]]:
        self._state, self._cached, self._count = state, [{} for _ in self._tables], 0
        return self._cached

    def _open(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._locks.close()
        self._connection = sqlite3.connect(
            f"{Path(self._path).as_uri()}?mode=ro",
            uri=True,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
        )
        self._cursor = self._connection.cursor()

    def _fetch(self, missing: list[list[Key]]) -> None:
        """Read keys, and keep them once all are there."""
        rows: list[dict[bytes, list[Any]]] = [
            {serialised[key]: [None, empty.copy(), key] for key in keys}
            for serialised, keys, empty in zip(self._bytes, missing, self._empty, strict=True)
        ]
        columns, values = self._columns, self._values
        for part in _parts(rows):
            for view, serialised, feature, value, stamp in self._select(part):
                row = rows[view][serialised]
                row[0] = stamp
                if feature in columns[view]:
                    row[1][columns[view][feature]] = values[value]
        for cached, of_view in zip(self._cached, rows, strict=True):
            self._count += len(of_view)
            for stamp, filled, key in of_view.values():
                cached[key] = None if stamp is None else (self._moments[stamp], filled)

    def _select(self, keys: list[list[bytes]]) -> Iterable[tuple[int, bytes, str, bytes, Any]]:
        """One statement over all views, of few different lengths, so that SQLite has parsed it
        before.
        """
        for column in keys:
            if len(column) > 2:  # none, one and two are lengths of their own
                column.extend(column[-1:] * ((1 << (len(column) - 1).bit_length()) - len(column)))
        lengths = tuple(map(len, keys))
        statement = self._statements.get(lengths) or self._statements.setdefault(
            lengths, self._statement(lengths)
        )
        return self._cursor.execute(statement, [key for column in keys for key in column])  # type: ignore[union-attr]

    def _statement(self, lengths: tuple[int, ...]) -> str:
        parts = []
        for view, (table, length) in enumerate(zip(self._tables, lengths, strict=True)):
            name, marks = table.replace('"', '""'), ",".join("?" * length)
            parts.append(
                f'SELECT {view}, entity_key, feature_name, value, event_ts FROM "{name}" WHERE'  # noqa: S608
                f" entity_key IN ({marks})"
            )  # Feast's name
        return " UNION ALL ".join(
            part for part, length in zip(parts, lengths, strict=True) if length
        )


def _parts(keys_of: Sequence[Iterable[bytes]]) -> Iterable[list[list[bytes]]]:
    """The keys of all views, as many at once as a statement takes."""
    columns = [list(keys) for keys in keys_of]
    if sum(map(len, columns)) <= READ_BATCH:
        yield columns
        return
    for view, keys in enumerate(columns):
        for start in range(0, len(keys), READ_BATCH):
            yield [
                keys[start : start + READ_BATCH] if view == number else []
                for number in range(len(columns))
            ]
