"""The online side: bringing the newest values to Feast's online store, and looking them up for a
request.

Feast itself would let an old window overwrite newer values, serve values past their TTL and answer
an unknown key like a null. Here a write never goes back in time, and a look-up enforces the TTL and
tells the three apart.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from include.errors import DataError, FeatureStoreError
from include.features.online.feast_rows import definition, stored_rows, write_rows
from include.features.online.postgres import PostgresReader
from include.features.online.reader import Key, Reader, StoredRow, empty_columns
from include.features.online.redis import RedisReader
from include.features.online.sqlite import SqliteReader
from include.features.retrieval import read_view
from include.features.store import (
    check_input_types,
    open_store,
    refresh_definitions,
    use_case_views,
)
from include.features.views import View
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP

if TYPE_CHECKING:
    from feast import FeatureStore

RETRY_SECONDS = 0.005
WAIT_SECONDS = 2.0
"""For so long after a store was locked look-ups wait for it, all of them together: one that is
locked for longer is away, and is said to be at once.
"""


@dataclass(frozen=True)
class Lookup:
    """The answer to one look-up; every list has one entry per asked row.

    `columns`: `<view>__<feature>` -> values. `unknown`: the views that hold no row for the row's
    key (a null key among them). `stale`: the views whose row is older than their TTL at the event
    time; its values are given as None. `newer`: the views whose row is later than the event time;
    its values are given, for the store holds no older ones.
    """

    columns: dict[str, list[Any]]
    unknown: list[tuple[str, ...]]
    stale: list[tuple[str, ...]]
    newer: list[tuple[str, ...]]


@dataclass(frozen=True)
class LookedUp:
    """The same by rows:

    `features[i]` maps every `<view>__<feature>` to its value for the asked row i.
    """

    features: list[dict[str, Any]]
    unknown: list[tuple[str, ...]]
    stale: list[tuple[str, ...]]
    newer: list[tuple[str, ...]]

    def by_columns(self) -> Lookup:
        """The same by columns."""
        names = self.features[0] if self.features else ()
        return Lookup(
            {name: [row[name] for row in self.features] for name in names},
            self.unknown,
            self.stale,
            self.newer,
        )


class OnlineFeatures:
    """Looks up the features of one use case in Feast's online store; safe to share between threads.

    Cheap to construct: the store is opened at the first look-up (or by `refresh`). Values written
    by another process are seen by the next look-up; only *definitions* applied meanwhile need
    `refresh`.
    """

    def __init__(self, use_case: UseCase, settings: Settings) -> None:
        self._use_case = use_case
        self._settings = settings
        self._opened: _Opened | None = None

    @property
    def blocks(self) -> bool:
        """Whether a look-up may wait for a network, or for Feast: then it has no place in an event
        loop.
        """
        return self._opened is None or self._opened.blocks

    @property
    def is_readable(self) -> bool:
        """Whether the store can be read, as far as can be seen without waiting: of a store in a
        file, whether the file is there and has not been locked for `WAIT_SECONDS`.
        """
        return self._opened is not None and self._opened.is_readable()

    def refresh(self) -> None:
        """Read the definitions from Feast's registry (again).

        Raises `FeatureStoreError` when they contradict the inputs.
        """
        store = open_store(self._settings)
        refresh_definitions(store)
        definition.cache_clear()
        views = use_case_views(self._use_case, store)
        check_input_types(self._use_case, views)
        before, self._opened = self._opened, _Opened(store, views)
        if before is not None:
            before.close()

    def lookup(self, keys: list[dict[str, Any]], event_times: list[datetime]) -> Lookup:
        """The values of all rows: `keys[i]` maps every entity key to its value, `event_times[i]`
        has a time zone.

        The newest row that has been materialised counts, also where it is later than the event time
        (`newer`); for event times just after that moment the values are those of `point_in_time`.
        Raises `DataError` when a key is missing or an event
        time has no time zone, and `FeatureStoreError` when a store behind a network does not answer
        within seconds.
        """
        rows = self.lookup_rows(keys, event_times)
        if rows.features:
            return rows.by_columns()
        return Lookup(
            {name: [] for view in self._open().views for name in map(view.column, view.features)},
            [],
            [],
            [],
        )

    def lookup_rows(
        self,
        keys: Sequence[Mapping[str, Any]],
        event_times: Sequence[datetime],
        *,
        wait: bool = True,
    ) -> LookedUp:
        """`lookup` by rows; the dictionaries in `keys` may hold more than the entity keys.

        A store that another process has locked raises `sqlite3.OperationalError`: with `wait=False`
        at once, otherwise when it has been locked for `WAIT_SECONDS`.
        """
        if len(keys) != len(event_times):
            raise DataError(
                f"{len(keys)} keys but {len(event_times)} event times; there must be one each per"
                " row."
            )
        naive = next((moment for moment in event_times if moment.tzinfo is None), None)
        if naive is not None:
            raise DataError(f"The event time {naive} has no time zone.")
        opened = self._open()
        keys_by_view, rows_by_view = opened.rows(keys, wait)
        features: list[dict[str, Any]] = []
        unknown: list[tuple[str, ...]] = []
        stale: list[tuple[str, ...]] = []
        newer: list[tuple[str, ...]] = []
        for row, moment in enumerate(event_times):
            values, missing, old, later = opened.row(
                [column[row] for column in keys_by_view], rows_by_view, moment
            )
            features.append(values)
            unknown.append(missing)
            stale.append(old)
            newer.append(later)
        return LookedUp(features, unknown, stale, newer)

    def newest(self, keys: Sequence[Mapping[str, Any]]) -> list[datetime | None]:
        """The event time of the newest feature row of each of `keys` over all views (None: no view
        knows it): from then on a question about it knows nothing of its future.
        """
        opened = self._open()
        keys_by_view, rows_by_view = opened.rows(keys, wait=True)
        stamps = [
            [
                stored[0]
                for place, column in enumerate(keys_by_view)
                if (key := column[row]) is not None
                and (stored := rows_by_view[place].get(key)) is not None
            ]
            for row in range(len(keys))
        ]
        return [max(moments, default=None) for moments in stamps]

    def _open(self) -> _Opened:
        if self._opened is None:
            store = open_store(self._settings)
            self._opened = _Opened(store, use_case_views(self._use_case, store))
        return self._opened


class _Opened:
    """The store with the views of one use case, and the fastest way to read them."""

    def __init__(self, store: FeatureStore, views: tuple[View, ...]) -> None:
        self.store = store
        self.views = views
        self._empty = [empty_columns(view) for view in views]
        self._reader = _reader(store, views)
        self.blocks = self._reader is None or self._reader.blocks
        self._locked_since: float | None = None

    def is_readable(self) -> bool:
        """See `OnlineFeatures.is_readable`."""
        if not isinstance(self._reader, SqliteReader):
            return True
        try:
            self._reader.check()
        except sqlite3.OperationalError:
            return not self._is_long_locked()
        except (FeatureStoreError, sqlite3.Error):
            return False
        self._locked_since = None
        return True

    def read(self, keys_by_view: list[list[Key]], wait: bool) -> list[dict[Key, StoredRow | None]]:
        """Per view, what the store holds for the keys."""
        if self._reader is None:
            return [
                self._through_feast(view, keys)
                for view, keys in zip(self.views, keys_by_view, strict=True)
            ]
        while True:
            try:
                rows = self._reader.read(keys_by_view)
            except sqlite3.OperationalError:
                if self._is_long_locked() or not wait:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                self._locked_since = None
                return rows

    def _is_long_locked(self) -> bool:
        """Whether a store that is locked now has been so for long; called each time that it is."""
        now = time.monotonic()
        if self._locked_since is None:
            self._locked_since = now
        return now - self._locked_since > WAIT_SECONDS

    def rows(
        self, keys: Sequence[Mapping[str, Any]], wait: bool
    ) -> tuple[list[list[Key | None]], list[dict[Key, StoredRow | None]]]:
        """Per view, the rows' keys, and what the store holds for them."""
        keys_by_view = [[_key(view, row) for row in keys] for view in self.views]
        return keys_by_view, self.read(
            [[key for key in column if key is not None] for column in keys_by_view], wait
        )

    def row(
        self,
        keys: list[Key | None],
        rows_by_view: list[dict[Key, StoredRow | None]],
        moment: datetime,
    ) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """One row's values, and the views that know nothing of its key, nothing fresh enough, and
        only what is later than `moment`.
        """
        values: dict[str, Any] = {}
        unknown: tuple[str, ...] = ()
        stale: tuple[str, ...] = ()
        newer: tuple[str, ...] = ()
        for place, (view, key) in enumerate(zip(self.views, keys, strict=True)):
            stored = None if key is None else rows_by_view[place].get(key)
            if stored is None:
                unknown += (view.name,)
                values.update(self._empty[place])
            elif stored[0] > moment:
                newer += (view.name,)
                values.update(stored[1])
            elif view.ttl is not None and moment - stored[0] > view.ttl:
                stale += (view.name,)
                values.update(self._empty[place])
            else:
                values.update(stored[1])
        return values, unknown, stale, newer

    def close(self) -> None:
        """Close what was opened here."""
        if self._reader is not None:
            self._reader.close()

    def _through_feast(self, view: View, keys: list[Key]) -> dict[Key, StoredRow | None]:
        stored = stored_rows(self.store, view, keys)
        return {
            key: (stamp, {view.column(name): values[name] for name in view.features})
            for key, (stamp, values) in stored.items()
        }


def _reader(store: FeatureStore, views: Sequence[View]) -> Reader | None:
    """The reader for this kind of store, `None` where there is none but Feast."""
    config = store.config.online_store
    if config.type == "sqlite":
        return SqliteReader(store, views)
    return next(
        (reader(store, views) for reader in (RedisReader, PostgresReader) if reader.reads(config)),
        None,
    )


def materialise(
    use_case: UseCase, settings: Settings, until: datetime
) -> dict[str, dict[str, int]]:
    """Write, per key, the newest row with `event_timestamp <= until` to Feast's online store.

    A key is skipped when the store holds a newer row, or this one already: repeating a call or
    calling for an old moment changes nothing. A view whose table another use case computes is
    that one's to write. Returns `{view: {"written": n, "skipped": n}}` in
    keys. Raises `FeatureStoreError` when a store behind a network cannot be reached.
    """
    if until.tzinfo is None:
        raise DataError(f"The moment {until} has no time zone.")
    store = open_store(settings)
    views = use_case_views(use_case, store)
    check_input_types(use_case, views)
    others = {part.view for part in use_case.feature_tables if part.written_by is not None}
    return {
        view.name: _materialise_view(store, view, until)
        for view in views
        if view.name not in others
    }


def _materialise_view(store: FeatureStore, view: View, until: datetime) -> dict[str, int]:
    fields = definition(store, view.name).features
    # The store holds whole views: another use case may read the features that this one does not.
    whole = View(
        view.name,
        view.join_keys,
        tuple(field.name for field in fields),
        view.timestamp,
        view.table_uri,
        view.ttl,
        types={
            **view.types,
            **{field.name: field.dtype.to_value_type().name for field in fields},
        },
    )
    latest = read_view(
        whole, pl.col(view.timestamp) <= pl.lit(until.astimezone(UTC), dtype=TIMESTAMP)
    ).drop_nulls(list(view.join_keys))
    newest = (
        latest.sort(view.timestamp)
        .unique(list(view.join_keys), keep="last")
        .sort(list(view.join_keys))
    )
    rows: dict[Key, StoredRow] = {}
    for record in newest.iter_rows(named=True):
        rows[tuple(record[name] for name in view.join_keys)] = (
            record[view.timestamp],
            {name: record[name] for name in whole.features},
        )
    stored = stored_rows(store, whole, rows)
    new = {
        key: row for key, row in rows.items() if key not in stored or _supersedes(row, stored[key])
    }
    write_rows(store, whole, new)
    return {"written": len(new), "skipped": len(rows) - len(new)}


def _supersedes(row: StoredRow, stored: StoredRow) -> bool:
    """Newer, or a correction of the very same stamp."""
    return row[0] > stored[0] or (row[0] == stored[0] and row[1] != stored[1])


def _key(view: View, row: Mapping[str, Any]) -> Key | None:
    """The row's key in this view, `None` when a part of it is null."""
    parts = []
    for name in view.join_keys:
        if name not in row:
            raise DataError(
                f"A row lacks the entity key {name!r} of the feature view {view.name!r}; given are"
                f" {sorted(row)}."
            )
        value = row[name]
        if value is None:
            return None
        parts.append(value)
    return tuple(parts)
