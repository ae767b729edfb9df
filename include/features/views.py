"""A feature view as every reader of features sees it, offline and online."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from include.errors import FeatureStoreError
from include.spec import ColumnType
from include.tables.casting import Declared

COLUMN_TYPES: dict[str, ColumnType] = {
    "STRING": "string",
    "INT64": "integer",
    "INT32": "integer",
    "DOUBLE": "number",
    "FLOAT": "number",
    "BOOL": "boolean",
    "UNIX_TIMESTAMP": "timestamp",
}
"""Feast's types that a model can read -> the declared type of such a column."""
KEY_TYPES = ("STRING", "INT64")
NAMES = {
    "STRING": "String",
    "INT64": "Int64",
    "INT32": "Int32",
    "DOUBLE": "Float64",
    "FLOAT": "Float32",
    "BOOL": "Bool",
    "UNIX_TIMESTAMP": "UnixTimestamp",
}
"""The same types as `feast.types` calls them."""


@dataclass(frozen=True)
class View:
    """What Feast's registry says about one feature view, reduced to the features that a use case
    reads.

    `table_uri` is the Delta table behind it, `ttl` how long a row holds after its timestamp
    (`None`: for ever), `created` the column that says when a row was computed (empty: the view has
    none), `types` the name of Feast's type of each join key and feature.
    """

    name: str
    join_keys: tuple[str, ...]
    features: tuple[str, ...]
    timestamp: str
    table_uri: str
    ttl: timedelta | None
    created: str = ""
    types: Mapping[str, str] = field(default_factory=dict)

    def column(self, feature: str) -> str:
        """`<view>__<feature>`."""
        return f"{self.name}__{feature}"

    @property
    def declared(self) -> list[Declared]:
        """What its join keys, timestamp and features must be cast to."""
        return declared_columns(
            self.name,
            {name: self.types[name] for name in (*self.join_keys, *self.features)},
            self.join_keys,
            self.timestamp,
        )


def declared_columns(
    view: str, types: Mapping[str, str], join_keys: Iterable[str], timestamp: str
) -> list[Declared]:
    """What the columns of a view's table must be cast to, by Feast's names of their types.

    Raises `FeatureStoreError` naming view and column of a type that no model reads.
    """
    keys = set(join_keys)
    for name, kind in types.items():
        valid = KEY_TYPES if name in keys else tuple(COLUMN_TYPES)
        if kind not in valid:
            what = "join key" if name in keys else "feature"
            raise FeatureStoreError(
                f"The {what} {name!r} of the feature view {view!r} has Feast's type"
                f" {NAMES.get(kind, kind)}; valid: {[NAMES[part] for part in valid]}. Correct its"
                " Field or Entity in feature_repo/, and apply the definitions."
            )
    columns = [_declared(name, kind) for name, kind in types.items() if name != timestamp]
    return [*columns, Declared(timestamp, "timestamp")]


def _declared(name: str, kind: str) -> Declared:
    column_type = COLUMN_TYPES[kind]
    return Declared(
        name,
        column_type,
        exchanged=True,
        bits=32 if kind == "INT32" else 64,
        whole_seconds=column_type == "timestamp",
    )
