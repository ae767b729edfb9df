"""Reading Feast's PostgreSQL online store: all views by one prepared statement, in one round trip.

Sent and awaited through libpq's own functions: they take a limit for the wait, which a cursor does
not, and half of a cursor's time.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from select import POLLIN, POLLOUT, poll
from typing import TYPE_CHECKING, Any

from include.features.online.network import CONNECT_SECONDS, READ_SECONDS, NetworkReader
from include.features.online.reader import (
    Cached,
    Key,
    StoredRow,
    empty_columns,
    key_bytes,
    values_by_bytes,
)
from include.features.views import View

if TYPE_CHECKING:
    from feast import FeatureStore
    from psycopg import Connection

STATEMENT = b"flightdeck_lookup"
# PostgreSQL's numbers of the types bytea and bytea[], and its day zero.
BYTES, MANY_BYTES = 17, 1001
DAY_ZERO = datetime(2000, 1, 1, tzinfo=UTC)
BINARY = 1
# A statement that finds few rows by their key, planned once: the index is right for it whatever the
# planner knows of the table yet.
PLANNING = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}


class PostgresReader(NetworkReader):
    """A `Reader` of tables without vectors; see `NetworkReader`."""

    def __init__(self, store: FeatureStore, views: Sequence[View]) -> None:
        from feast.infra.online_stores.postgres_online_store.postgres import _table_id

        super().__init__(store)
        versioned = store.config.registry.enable_online_feature_view_versioning
        tables = [
            _table_id(store.config.project, store.get_feature_view(view.name), versioned)
            for view in views
        ]
        self._statement = _statement(tables, views)
        self._bytes = [key_bytes(store, view) for view in views]
        self._columns = [
            {feature.encode(): view.column(feature) for feature in view.features} for view in views
        ]
        self._empty = [empty_columns(view) for view in views]
        self._numbers = {struct.pack(">i", number): number for number in range(len(views))}
        self._values = values_by_bytes()
        self._moments = Cached(_moment)
        self._connection: Connection[Any] | None = None
        self._poll = poll()

    @staticmethod
    def reads(config: Any) -> bool:
        """Whether this reader is for a store of Feast's configuration `config`."""
        return bool(config.type == "postgres" and not config.vector_enabled)

    def _connect(self) -> None:
        self._connection = connect(self._config, PLANNING)
        self._poll = poll()
        self._poll.register(self._connection.pgconn.socket, POLLIN)
        self._connection.pgconn.send_prepare(
            STATEMENT, self._statement, [MANY_BYTES] * len(self._bytes)
        )
        self._result(self._connection.pgconn)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_broken(self, error: Exception) -> bool:  # noqa: ARG002  # the connection itself knows
        return self._connection is None or self._connection.closed

    def _ask(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]:
        fetched: list[dict[bytes, list[Any]]] = []
        for of_view, keys, empty in zip(self._bytes, keys_by_view, self._empty, strict=True):
            fetched.append({of_view[key]: [None, empty.copy(), key] for key in keys})
        connection: Any = self._connection
        arrays = [_array(rows) for rows in fetched]
        formats = [BINARY] * len(arrays)
        connection.pgconn.send_query_prepared(STATEMENT, arrays, formats, BINARY)
        result = self._result(connection.pgconn)
        value, numbers, columns, values = (
            result.get_value,
            self._numbers,
            self._columns,
            self._values,
        )
        for row in range(result.ntuples):
            view = numbers[value(row, 0)]
            entry = fetched[view][value(row, 1)]
            entry[0] = value(row, 4)
            entry[1][columns[view][value(row, 2)]] = values[value(row, 3)]
        return [
            {
                key: None if stamp is None else (self._moments[stamp], filled)
                for stamp, filled, key in rows.values()
            }
            for rows in fetched
        ]

    def _result(self, connection: Any) -> Any:
        """Send what is waiting to be sent; the answer.

        Raises `psycopg.Error` when it is an error, or is not there in time.
        """
        from psycopg import errors
        from psycopg.pq import ExecStatus

        deadline = time.monotonic() + READ_SECONDS
        while connection.flush():
            self._wait(connection, POLLIN | POLLOUT, deadline)
        result = None
        while True:
            while connection.is_busy():
                self._wait(connection, POLLIN, deadline)
            following = connection.get_result()
            if following is None:
                break
            result = following
        if result is None or result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise (
                errors.OperationalError("the connection ended")
                if result is None
                else errors.error_from_result(result)
            )
        return result

    def _wait(self, connection: Any, events: int, deadline: float) -> None:
        from psycopg.errors import OperationalError

        self._poll.modify(connection.socket, events)
        left = deadline - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000):
            raise OperationalError(f"nothing within {READ_SECONDS:g} s")
        connection.consume_input()


def connect(config: Any, settings: dict[str, str] | None = None) -> Connection[Any]:
    """A connection as Feast's configuration `config` says, in a session of UTC: Feast writes times
    without their zone.

    Raises `psycopg.Error` after `CONNECT_SECONDS`.
    """
    import psycopg
    from feast.infra.utils.postgres.connection_utils import _get_conn_kwargs, _get_conninfo

    arguments = _get_conn_kwargs(config)
    session = {"timezone": "UTC", **(settings or {})}
    arguments["options"] += "".join(f" -c {name}={value}" for name, value in session.items())
    return psycopg.connect(
        _get_conninfo(config),
        connect_timeout=CONNECT_SECONDS,
        keepalives_idle=config.keepalives_idle,
        **arguments,
    )


def _statement(tables: Sequence[str], views: Sequence[View]) -> bytes:
    from psycopg import sql

    parts = [
        sql.SQL(
            "SELECT {}::int4, entity_key, feature_name, value, event_ts FROM {} WHERE entity_key ="
            " ANY({}) AND feature_name IN ({})"
        ).format(
            sql.Literal(number),
            sql.Identifier(table),
            sql.SQL(f"${number + 1}"),
            sql.SQL(", ").join(map(sql.Literal, view.features)),
        )
        for number, (table, view) in enumerate(zip(tables, views, strict=True))
    ]
    return sql.SQL(" UNION ALL ").join(parts).as_bytes(None)


def _array(keys: Iterable[bytes]) -> bytes:
    """PostgreSQL's binary form of an array of bytes."""
    parts = [struct.pack(">i", len(key)) + key for key in keys]
    if not parts:
        return struct.pack(">iii", 0, 0, BYTES)
    return struct.pack(">iiiii", 1, 0, BYTES, len(parts), 1) + b"".join(parts)


def _moment(stamp: bytes) -> datetime:
    """PostgreSQL's binary form of a time: microseconds since its day zero."""
    return DAY_ZERO + timedelta(microseconds=struct.unpack(">q", stamp)[0])
