"""Rows of the online store by Feast's own functions: what materialising compares with and writes,
for one caller at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from include.features.online.network import failures, unreachable
from include.features.online.postgres import connect
from include.features.online.reader import Key, StoredRow, entity_key, plain
from include.features.views import View

if TYPE_CHECKING:
    from feast import FeatureStore

READ_BATCH = 2000
TIME_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
# One process shares one store, and Feast's SQLite and PostgreSQL stores have one connection.
_connection = Lock()


@contextmanager
def through_feast(store: FeatureStore) -> Iterator[Any]:
    """Feast's provider, for one caller at a time.

    Raises `FeatureStoreError` when the store cannot be reached, or refuses.
    """
    with _connection:
        config = store.config.online_store
        try:
            if config.type == "postgres":
                _connect(store)
            yield store._get_provider()
        except failures(config.type) as error:
            _disconnect(store)
            raise unreachable(config, error) from error


def stored_rows(store: FeatureStore, view: View, keys: Iterable[Key]) -> dict[Key, StoredRow]:
    """What Feast's online store holds for the keys: the row's stamp and its values by feature."""
    distinct = list(dict.fromkeys(keys))
    feature_view = definition(store, view.name)
    rows_by_key: dict[Key, StoredRow] = {}
    for start in range(0, len(distinct), READ_BATCH):
        part = distinct[start : start + READ_BATCH]
        protos = [entity_key(view, key) for key in part]
        with through_feast(store) as provider:
            answers = provider.online_read(store.config, feature_view, protos, list(view.features))
        for key, (stamp, values) in zip(part, answers, strict=True):
            moment = _with_zone(stamp)
            # Feast's Redis store answers with the time zero for what it does not hold.
            if moment is not None and moment != TIME_ZERO and values is not None:
                rows_by_key[key] = (
                    moment,
                    {name: plain(values.get(name)) for name in view.features},
                )
    return rows_by_key


def write_rows(store: FeatureStore, view: View, rows: Mapping[Key, StoredRow]) -> None:
    """Write rows, whatever the store holds for their keys."""
    if not rows:
        return
    from feast.type_map import python_values_to_proto_values

    feature_view = definition(store, view.name)
    types = {field.name: field.dtype.to_value_type() for field in feature_view.features}
    protos = {
        name: python_values_to_proto_values(
            _of_type([values[name] for _, values in rows.values()], types[name].name), types[name]
        )
        for name in view.features
    }
    batch = [
        (
            entity_key(view, key),
            {name: protos[name][position] for name in view.features},
            stamp,
            None,
        )
        for position, (key, (stamp, _)) in enumerate(rows.items())
    ]
    with through_feast(store) as provider:
        provider.online_write_batch(store.config, feature_view, batch, None)


def _of_type(values: list[Any], kind: str) -> list[Any]:
    """The values as Feast takes them: retrieval has made numbers of truths."""
    if kind != "BOOL":
        return values
    return [None if value is None else bool(value) for value in values]


@lru_cache(maxsize=64)
def definition(store: FeatureStore, view: str) -> Any:
    """Feast's definition of a view."""
    return store.get_feature_view(view)


def _with_zone(stamp: datetime | None) -> datetime | None:
    return stamp.replace(tzinfo=UTC) if stamp is not None and stamp.tzinfo is None else stamp


def _connect(store: FeatureStore) -> None:
    """Give Feast's PostgreSQL store a connection that lives: it would go on with a broken one for
    ever.
    """
    feasts = store._get_provider().online_store
    if feasts._conn is None or not _lives(feasts._conn):
        feasts._conn = connect(store.config.online_store)


def _lives(connection: Any) -> bool:
    from psycopg import OperationalError

    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except OperationalError:
        return False
    return True


def _disconnect(store: FeatureStore) -> None:
    feasts = store._get_provider().online_store
    if store.config.online_store.type == "postgres" and feasts._conn is not None:
        feasts._conn.close()
        feasts._conn = None
