"""What the readers of stores behind a network share: limits, one new attempt, and failures that say
where and what to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from include.errors import FeatureStoreError
from include.features.online.reader import Key, StoredRow

if TYPE_CHECKING:
    from feast import FeatureStore

CONNECT_SECONDS = 2
READ_SECONDS = 1.0
# Several threads may look up at once; who has waited this long for the others would ask a store
# that hangs.
TURN_SECONDS = 2.0


class NetworkReader(ABC):
    """A `Reader` over one connection, which is opened anew once it is found broken. Nothing is
    kept: a change could not be noticed.

    Raises `FeatureStoreError` when the store cannot be reached, refuses, or does not answer in
    time.
    """

    blocks: ClassVar[bool] = True

    def __init__(self, store: FeatureStore) -> None:
        self._config = store.config.online_store
        self._failures = failures(self._config.type)
        self._lock = Lock()
        self._connected = False

    def read(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]:
        """See `Reader`."""
        if not self._lock.acquire(timeout=TURN_SECONDS):
            raise unreachable(self._config, "earlier look-ups still wait for it")
        try:
            return self._read(keys_by_view)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _read(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]:
        connected = self._connected
        try:
            if not connected:
                self._connect()
                self._connected = True
            return self._ask(keys_by_view)
        except self._failures as error:
            # A server that was started anew has closed the connection; one that is slow would be no
            # faster the second time.
            again = connected and self._is_broken(error)
            self._drop()
            if not again:
                raise unreachable(self._config, error) from error
        return self._read(keys_by_view)

    def _drop(self) -> None:
        self._connected = False
        self._disconnect()

    @abstractmethod
    def _connect(self) -> None: ...

    @abstractmethod
    def _disconnect(self) -> None: ...

    @abstractmethod
    def _ask(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]: ...

    @abstractmethod
    def _is_broken(self, error: Exception) -> bool:
        """Whether the failure is the connection's end."""


def failures(kind: str) -> tuple[type[Exception], ...]:
    """What the client of a store of Feast's kind raises when it cannot reach it, or is refused."""
    if kind == "redis":
        from redis import RedisError

        return (RedisError,)
    if kind == "postgres":
        from psycopg import Error

        return (Error,)
    return ()


def unreachable(config: Any, reason: object) -> FeatureStoreError:
    """The error for the store of Feast's configuration `config`; it names the store without its
    password.
    """
    text = " ".join(str(reason).split()).rstrip(".")
    return FeatureStoreError(
        f"The online store, {_place(config)}, does not answer as it should: {text}. See that it"
        " runs, that FLIGHTDECK_ONLINE_STORE names it, and that the definitions are applied to it."
    )


def _place(config: Any) -> str:
    if config.type == "redis":
        return "Redis at " + ", ".join(
            part for part in config.connection_string.split(",") if "=" not in part
        )
    return f"PostgreSQL at {config.host}:{config.port}/{config.database}"
