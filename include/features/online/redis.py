"""Reading Feast's Redis online store: the hashes of all views in one round trip.

Feast keeps one hash per key, which all views of the same entities share. A view's row is there when
its time is: for a key that Redis does not hold, Feast itself answers with nulls of the time zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.features.online.network import CONNECT_SECONDS, READ_SECONDS, NetworkReader
from include.features.online.reader import Cached, Key, StoredRow, key_bytes, values_by_bytes
from include.features.views import View

if TYPE_CHECKING:
    from feast import FeatureStore


class RedisReader(NetworkReader):
    """A `Reader` of a single Redis, by a connection like Feast's own but with the limits of a
    look-up.
    """

    def __init__(self, store: FeatureStore, views: Sequence[View]) -> None:
        from feast.infra.online_stores.redis import RedisOnlineStore, _versioned_fv_name

        super().__init__(store)
        feasts = RedisOnlineStore()
        self._connection = _connection(feasts._get_client(self._config))
        self._project = store.config.project.encode()
        self._bytes = [key_bytes(store, view) for view in views]
        self._columns = [tuple(map(view.column, view.features)) for view in views]
        self._fields = []
        for view in views:
            definition = store.get_feature_view(view.name)
            name = _versioned_fv_name(definition, store.config)
            self._fields.append(
                feasts._generate_hset_keys_for_features(
                    definition, list(view.features), fv_name_override=name
                )[1]
            )
        self._values = values_by_bytes()
        self._moments = Cached(_moment)

    @staticmethod
    def reads(config: Any) -> bool:
        """Whether this reader is for a store of Feast's configuration `config`: one Redis, and
        Feast's default client.
        """
        return bool(
            config.type == "redis" and config.redis_type == "redis" and config.client == "redis"
        )

    def _connect(self) -> None:
        self._connection.connect()

    def _disconnect(self) -> None:
        self._connection.disconnect()

    def _is_broken(self, error: Exception) -> bool:
        from redis import ConnectionError as Broken

        return isinstance(error, Broken)

    def _ask(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]:
        places: dict[bytes, list[tuple[int, Key]]] = {}
        for view, keys in enumerate(keys_by_view):
            for key in dict.fromkeys(keys):
                places.setdefault(self._bytes[view][key], []).append((view, key))
        commands = [
            (
                "HMGET",
                serialised + self._project,
                *(field for view, _ in rows for field in self._fields[view]),
            )
            for serialised, rows in places.items()
        ]
        self._connection.send_packed_command(
            self._connection.pack_commands(commands), check_health=False
        )
        rows_by_view: list[dict[Key, StoredRow | None]] = [{} for _ in keys_by_view]
        for rows in places.values():
            reply = self._connection.read_response()
            start = 0
            for view, key in rows:
                stop = start + len(self._columns[view])
                rows_by_view[view][key] = self._row(view, reply[start:stop], reply[stop])
                start = stop + 1
        return rows_by_view

    def _row(
        self, view: int, values: Sequence[bytes | None], stamp: bytes | None
    ) -> StoredRow | None:
        if stamp is None:
            return None
        return self._moments[stamp], dict(
            zip(self._columns[view], map(self._values.__getitem__, values), strict=True)
        )


def _moment(stamp: bytes) -> datetime:
    """Feast's message for a time, by Feast's arithmetic."""
    from google.protobuf.timestamp_pb2 import Timestamp

    message = Timestamp.FromString(stamp)
    return datetime.fromtimestamp(message.seconds + message.nanos / 1e9, tz=UTC)


def _connection(client: Any) -> Any:
    """One of the client's kind of connections: TLS, password and database are the client's."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    pool = client.connection_pool
    limits = {
        "socket_timeout": READ_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    return pool.connection_class(**{**pool.connection_kwargs, **limits})
