"""What the readers of Feast's online stores share: keys as the store spells them, values as Python
has them, each worked out once.

A reader gives what `get_online_features` would give. Names, key serialisation, time conversion and
values are Feast's own functions and messages; what is left out is its request machinery.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from include.features.views import View

if TYPE_CHECKING:
    from feast import FeatureStore

Key = tuple[str | int, ...]
StoredRow = tuple[datetime, dict[str, Any]]
CACHED_ANSWERS = 100_000
# Of the wire format of protocol buffers: the type in a tag's low bits, and a tag below 16 with a
# number after it.
# Feast's time of nothing, `NULL_TIMESTAMP_INT_VALUE`.
NO_TIME = -(2**63)
FIXED_64_BITS, DOUBLE_LENGTH = 1, 9
K = TypeVar("K")
V = TypeVar("V")


class Reader(Protocol):
    """Reads a use case's views from one kind of store; safe to share between threads."""

    blocks: ClassVar[bool]
    """Whether a read may wait for something outside of this process."""

    def read(self, keys_by_view: Sequence[Iterable[Key]]) -> list[dict[Key, StoredRow | None]]:
        """Per view: every asked key with its row's stamp and values by `<view>__<feature>`, or None
        where the store has no row.

        There may be more keys in the answer than were asked for.
        """

    def close(self) -> None:
        """Let go of the store."""


class Cached(dict[K, V]):
    """The answers of a function of one argument, all forgotten when they have become too many."""

    def __init__(self, function: Callable[[K], V]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, argument: K) -> V:
        if len(self) >= CACHED_ANSWERS:
            self.clear()
        answer = self[argument] = self._function(argument)
        return answer


def key_bytes(store: FeatureStore, view: View) -> Cached[Key, bytes]:
    """A view's keys as Feast serialises them."""
    from feast.infra.key_encoding_utils import serialize_entity_key

    version = store.config.entity_key_serialization_version
    serialise = partial(serialize_entity_key, entity_key_serialization_version=version)
    return Cached(lambda key: serialise(entity_key(view, key)))


def values_by_bytes() -> Cached[bytes | None, Any]:
    """Python values of serialised messages; many keys have the same, and most keep theirs when the
    store changes.
    """
    from feast.protos.feast.types.Value_pb2 import Value

    double = Value.DESCRIPTOR.fields_by_name["double_val"].number << 3 | FIXED_64_BITS
    message, number = Value.FromString, struct.Struct("<d").unpack_from

    def value(serialised: bytes | None) -> Any:
        if not serialised:
            return None
        # Most values are numbers, and a message that is one number is its tag and eight bytes: a
        # third of the general way's time.
        if serialised[0] == double and len(serialised) == DOUBLE_LENGTH:
            return number(serialised, 1)[0]
        return plain(message(serialised))

    return Cached(value)


def feature_columns(view: View) -> dict[str, str]:
    """Feature -> `<view>__<feature>`."""
    return {feature: view.column(feature) for feature in view.features}


def empty_columns(view: View) -> dict[str, Any]:
    """The view's columns without a value."""
    return dict.fromkeys(map(view.column, view.features))


def entity_key(view: View, key: Key) -> Any:
    """Feast's message for a key."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(
        join_keys=list(view.join_keys),
        entity_values=[
            Value(int64_val=part) if isinstance(part, int) else Value(string_val=part)
            for part in key
        ],
    )


def plain(value: Any) -> Any:
    """The Python value of Feast's message; a null is a message with nothing set.

    A truth is the number 0.0 or 1.0, as retrieval gives it, a time a datetime in UTC.
    """
    kind = None if value is None else value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    made = getattr(value, kind)
    if kind == "unix_timestamp_val":
        return None if made == NO_TIME else datetime.fromtimestamp(made, UTC)
    return float(made) if kind == "bool_val" else made
