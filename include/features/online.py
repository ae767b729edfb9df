"""The online side: bringing the newest values to Feast's online store, and looking them up for a request.

Feast itself would let an old window overwrite newer values, serve values past their TTL and answer an unknown key like a
null. Here a write never goes back in time, and a look-up enforces the TTL and tells the three apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import polars as pl

from include.data.tables import TIMESTAMP
from include.errors import DataError
from include.features.retrieval import read_view
from include.features.store import View, open_store, refresh_definitions, use_case_views
from include.settings import Settings
from include.spec import UseCase

if TYPE_CHECKING:
    from feast import FeatureStore

Key = tuple[str, ...]
Held = tuple[datetime, dict[str, Any]]
READ_BATCH = 2000
# One process shares one store, and Feast's SQLite store has one connection.
_connection = Lock()


@dataclass(frozen=True)
class Lookup:
    """The answer to one look-up; every list has one entry per asked row.

    `columns`: `<view>__<feature>` -> values. `unknown`: the views that hold no row for the row's key (a null key among
    them). `stale`: the views whose row is older than their TTL at the event time; its values are given as None.
    """

    columns: dict[str, list[Any]]
    unknown: list[tuple[str, ...]]
    stale: list[tuple[str, ...]]


class OnlineFeatures:
    """Looks up the features of one use case in Feast's online store; safe to share between threads.

    Cheap to construct: the store is opened at the first look-up (or by `refresh`). Values written by another process are
    seen by the next look-up; only *definitions* applied meanwhile need `refresh`.
    """

    def __init__(self, use_case: UseCase, settings: Settings) -> None:
        self._use_case = use_case
        self._settings = settings
        self._opened: tuple[FeatureStore, tuple[View, ...]] | None = None

    def refresh(self) -> None:
        """Read the definitions from Feast's registry (again). Raises `FeatureStoreError` when they contradict the inputs."""
        store = open_store(self._settings)
        refresh_definitions(store)
        _definition.cache_clear()
        self._opened = store, use_case_views(self._use_case, store)

    def lookup(self, keys: list[dict[str, str | None]], event_times: list[datetime]) -> Lookup:
        """The values of all rows: `keys[i]` maps every entity key to its value, `event_times[i]` has a time zone.

        The newest row that has been materialised counts; for event times just after that moment the values are those of
        `point_in_time`. Raises `DataError` when a key is missing or an event time has no time zone.
        """
        if len(keys) != len(event_times):
            raise DataError(f"{len(keys)} keys but {len(event_times)} event times; there must be one each per row.")
        naive = next((moment for moment in event_times if moment.tzinfo is None), None)
        if naive is not None:
            raise DataError(f"The event time {naive} has no time zone.")
        columns: dict[str, list[Any]] = {}
        unknown: list[list[str]] = [[] for _ in keys]
        stale: list[list[str]] = [[] for _ in keys]
        if self._opened is None:
            store = open_store(self._settings)
            self._opened = store, use_case_views(self._use_case, store)
        store, views = self._opened
        asked = {view.name: [_key(view, row) for row in keys] for view in views}
        found = {view.name: _held(store, view, (key for key in asked[view.name] if key is not None)) for view in views}
        for view in views:
            values: list[dict[str, Any]] = []
            for row, (key, moment) in enumerate(zip(asked[view.name], event_times, strict=True)):
                held = None if key is None else found[view.name].get(key)
                if held is None:
                    unknown[row].append(view.name)
                elif view.ttl is not None and moment - held[0] > view.ttl:
                    stale[row].append(view.name)
                    held = None
                values.append({} if held is None else held[1])
            columns.update({view.column(feature): [value.get(feature) for value in values] for feature in view.features})
        return Lookup(columns, [tuple(names) for names in unknown], [tuple(names) for names in stale])


def materialise(use_case: UseCase, settings: Settings, until: datetime) -> dict[str, dict[str, int]]:
    """Write, per key, the newest row with `event_timestamp <= until` to Feast's online store.

    A key is skipped when the store holds a newer row, or this one already: repeating a call or calling for an old moment
    changes nothing. Returns `{view: {"written": n, "skipped": n}}` in keys.
    """
    if until.tzinfo is None:
        raise DataError(f"The moment {until} has no time zone.")
    store = open_store(settings)
    return {view.name: _materialise_view(store, view, until) for view in use_case_views(use_case, store)}


def _materialise_view(store: FeatureStore, view: View, until: datetime) -> dict[str, int]:
    definition = _definition(store, view.name)
    # The store holds whole views: another use case may read the features that this one does not.
    whole = View(view.name, view.join_keys, tuple(field.name for field in definition.features), view.timestamp, view.table_uri, view.ttl)
    known = read_view(whole, pl.col(view.timestamp) <= pl.lit(until.astimezone(UTC), dtype=TIMESTAMP)).drop_nulls(list(view.join_keys))
    newest = known.sort(view.timestamp).unique(list(view.join_keys), keep="last").sort(list(view.join_keys))
    rows: dict[Key, Held] = {}
    for record in newest.iter_rows(named=True):
        rows[tuple(record[name] for name in view.join_keys)] = (record[view.timestamp], {name: record[name] for name in whole.features})
    held = _held(store, whole, rows)
    new = {key: row for key, row in rows.items() if key not in held or _supersedes(row, held[key])}
    _write(store, whole, new)
    return {"written": len(new), "skipped": len(rows) - len(new)}


def _supersedes(row: Held, held: Held) -> bool:
    """Newer, or a correction of the very same stamp."""
    return row[0] > held[0] or (row[0] == held[0] and row[1] != held[1])


def _key(view: View, row: dict[str, str | None]) -> Key | None:
    """The row's key in this view, `None` when a part of it is null."""
    parts = []
    for name in view.join_keys:
        if name not in row:
            raise DataError(f"A row lacks the entity key {name!r} of the feature view {view.name!r}; given are {sorted(row)}.")
        value = row[name]
        if value is None:
            return None
        parts.append(value)
    return tuple(parts)


def _held(store: FeatureStore, view: View, keys: Iterable[Key]) -> dict[Key, Held]:
    """What Feast's online store holds for the keys: the row's stamp and its values."""
    distinct = list(dict.fromkeys(keys))
    definition = _definition(store, view.name)
    found: dict[Key, Held] = {}
    for start in range(0, len(distinct), READ_BATCH):
        part = distinct[start : start + READ_BATCH]
        protos = [_proto(view, key) for key in part]
        with _connection:
            answers = store._get_provider().online_read(store.config, definition, protos, list(view.features))
        for key, (stamp, values) in zip(part, answers, strict=True):
            if stamp is not None and values is not None:
                found[key] = (stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp, _plain(values, view.features))
    return found


def _write(store: FeatureStore, view: View, rows: dict[Key, Held]) -> None:
    if not rows:
        return
    from feast.type_map import python_values_to_proto_values

    definition = _definition(store, view.name)
    types = {field.name: field.dtype.to_value_type() for field in definition.features}
    protos = {name: python_values_to_proto_values([values[name] for _, values in rows.values()], types[name]) for name in view.features}
    batch = [
        (_proto(view, key), {name: protos[name][position] for name in view.features}, stamp, None)
        for position, (key, (stamp, _)) in enumerate(rows.items())
    ]
    with _connection:
        store._get_provider().online_write_batch(store.config, definition, batch, None)


@lru_cache(maxsize=64)
def _definition(store: FeatureStore, view: str) -> Any:
    return store.get_feature_view(view)


def _proto(view: View, key: Key) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=list(view.join_keys), entity_values=[Value(string_val=part) for part in key])


def _plain(values: dict[str, Any], features: Sequence[str]) -> dict[str, Any]:
    """Python values of Feast's protocol buffers; a null is a message with nothing set."""
    plain: dict[str, Any] = {}
    for name in features:
        value = values.get(name)
        kind = None if value is None else value.WhichOneof("val")
        plain[name] = None if kind is None or kind == "null_val" else getattr(value, kind)
    return plain
