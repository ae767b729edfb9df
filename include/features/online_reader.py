"""Reading Feast's SQLite online store: the values that `get_online_features` would give, in a fiftieth of its time.

Table names, key serialisation, time conversion and values are Feast's own functions and messages; what is left out is its request
machinery. All views are read by one statement, so by one snapshot. What was read is kept, and used only as long as SQLite says that no
other connection has committed anything since (`PRAGMA data_version`, asked at every look-up): a value is never older than the store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from include.features.store import View

if TYPE_CHECKING:
    from feast import FeatureStore

Key = tuple[str, ...]
Held = tuple[datetime, dict[str, Any]]
READ_BATCH = 1024
KEPT_KEYS = 100_000
OPEN_SECONDS = 5.0


class SqliteReader:
    """Reads a use case's views; safe to share between threads. Never waits for a lock: raises `sqlite3.OperationalError` instead."""

    def __init__(self, store: FeatureStore, views: Sequence[View]) -> None:
        from feast.infra.key_encoding_utils import serialize_entity_key
        from feast.infra.online_stores.sqlite import SqliteOnlineStore, _table_id, convert_timestamp
        from feast.protos.feast.types.Value_pb2 import Value

        config = store.config
        versioned = config.registry.enable_online_feature_view_versioning
        self._path = Path(SqliteOnlineStore._get_db_path(config))
        self._views = tuple(views)
        self._tables = [_table_id(config.project, store.get_feature_view(view.name), versioned) for view in views]
        self._columns = [{feature: view.column(feature) for feature in view.features} for view in views]
        self._serialise = partial(serialize_entity_key, entity_key_serialization_version=config.entity_key_serialization_version)
        self._read_stamp, self._read_value = convert_timestamp, Value.FromString
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._state: tuple[int, int] | None = None
        self._held: list[dict[Key, Held | None]] = []
        self._serialised: list[dict[Key, bytes]] = [{} for _ in views]
        self._values: dict[bytes, Any] = {}
        self._statements: dict[tuple[int, ...], str] = {}

    def read(self, asked: Sequence[Iterable[Key]]) -> list[dict[Key, Held | None]]:
        """Per view: every asked key with its row's stamp and values by `<view>__<feature>`, or None where the store has no row.

        There may be more keys in the answer than were asked for.
        """
        with self._lock:
            held = self._current()
            missing = [[key for key in dict.fromkeys(keys) if key not in known] for keys, known in zip(asked, held, strict=True)]
            while any(missing):
                self._fetch(missing)
                again = self._current()
                if again is held:
                    break
                # Something was committed meanwhile: the rest may be older than what was read just now.
                held = again
                missing = [list(dict.fromkeys(keys)) for keys in asked]
            return held

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _current(self) -> list[dict[Key, Held | None]]:
        """What is kept and still holds; empty after a commit to the store, or when another file stands in its place."""
        file = self._path.stat().st_ino
        if self._connection is None or self._state is None or self._state[0] != file:
            self._open()
        state = file, self._connection.execute("PRAGMA data_version").fetchone()[0]  # type: ignore[union-attr]
        if state != self._state or sum(map(len, self._held)) > KEPT_KEYS:
            self._state, self._held = state, [{} for _ in self._views]
        return self._held

    def _open(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.0, isolation_level=None, check_same_thread=False
        )

    def _fetch(self, missing: list[list[Key]]) -> None:
        """Read keys, and keep them once all are there."""
        found: list[dict[Key, Held | None]] = [dict.fromkeys(keys) for keys in missing]
        places = {(view, self._bytes(view, key)): key for view, keys in enumerate(missing) for key in keys}
        waiting = list(places)
        moments: dict[Any, datetime] = {}
        for start in range(0, len(waiting), READ_BATCH):
            for view, serialised, feature, value, stamp in self._select(waiting[start : start + READ_BATCH]):
                held = found[view]
                known = held[key := places[view, serialised]]
                moment = moments.get(stamp)
                if moment is None:
                    moment = moments[stamp] = self._read_stamp(stamp).replace(tzinfo=UTC)
                values = dict.fromkeys(self._columns[view].values()) if known is None else known[1]
                held[key] = moment, values
                name = self._columns[view].get(feature)
                if name is not None:
                    values[name] = self._decoded(value)
        for kept, new in zip(self._held, found, strict=True):
            kept.update(new)

    def _decoded(self, value: bytes) -> Any:
        """The Python value; many keys have the same, and most keep theirs when the store changes."""
        if value not in self._values:
            if len(self._values) >= KEPT_KEYS:
                self._values.clear()
            self._values[value] = plain(self._read_value(value))
        return self._values[value]

    def _select(self, part: list[tuple[int, bytes]]) -> list[tuple[int, bytes, str, bytes, Any]]:
        """One statement over all views, of few different lengths, so that SQLite has parsed it before."""
        keys: list[list[bytes]] = [[] for _ in self._views]
        for view, key in part:
            keys[view].append(key)
        for column in keys:
            column.extend(column[-1:] * ((1 << (len(column) - 1).bit_length()) - len(column) if column else 0))
        lengths = tuple(map(len, keys))
        statement = self._statements.get(lengths) or self._statements.setdefault(lengths, self._statement(lengths))
        return self._connection.execute(statement, [key for column in keys for key in column]).fetchall()  # type: ignore[union-attr]

    def _statement(self, lengths: tuple[int, ...]) -> str:
        parts = []
        for view, (table, length) in enumerate(zip(self._tables, lengths, strict=True)):
            name, marks = table.replace('"', '""'), ",".join("?" * length)
            parts.append(f'SELECT {view}, entity_key, feature_name, value, event_ts FROM "{name}" WHERE entity_key IN ({marks})')  # noqa: S608  # Feast's name
        return " UNION ALL ".join(part for part, length in zip(parts, lengths, strict=True) if length)

    def _bytes(self, view: int, key: Key) -> bytes:
        known = self._serialised[view]
        if key not in known:
            if len(known) >= KEPT_KEYS:
                known.clear()
            known[key] = self._serialise(entity_key(self._views[view], key))
        return known[key]


def empty_columns(view: View) -> dict[str, Any]:
    """The view's columns without a value."""
    return dict.fromkeys(map(view.column, view.features))


def entity_key(view: View, key: Key) -> Any:
    """Feast's message for a key."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=list(view.join_keys), entity_values=[Value(string_val=part) for part in key])


def plain(value: Any) -> Any:
    """The Python value of Feast's message; a null is a message with nothing set."""
    kind = None if value is None else value.WhichOneof("val")
    return None if kind is None or kind == "null_val" else getattr(value, kind)
