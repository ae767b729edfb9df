"""What every file of definitions would write again: a key, and a view over a table of features.

It imports Feast alone, as the files that use it do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from feast import Entity, FeatureView, Field, FileSource
from feast.data_format import DeltaFormat
from feast.types import Int64, String
from feast.value_type import ValueType

TIMESTAMP, CREATED = "event_timestamp", "created_timestamp"
"""When a row's values were known, and the end of the interval that computed it."""
TYPES_OF_KEYS = {String: ValueType.STRING, Int64: ValueType.INT64}


def key(column: str, description: str, *, kind: Any = String, name: str | None = None) -> Entity:
    """Whom features are about: an entity that is looked up by one column, `String` or `Int64`."""
    return Entity(
        name=name or column,
        join_keys=[column],
        value_type=TYPES_OF_KEYS[kind],
        description=description,
    )


def view(
    name: str,
    entities: Sequence[Entity],
    *,
    ttl: timedelta,
    fields: Mapping[str, tuple[Any, str]],
    table: str | None = None,
    timestamp: str = TIMESTAMP,
) -> FeatureView:
    """A view over the Delta table `features/<name>` (or `table`) below `FLIGHTDECK_TABLES_URI`.

    `fields` maps each feature to its type and description; the entities' keys come by themselves.
    Its tag `statistics` names the table with the statistics of its values by interval.
    """
    # Read at each call: this module outlives a change of the variable, the definitions do not.
    root = os.environ["FLIGHTDECK_TABLES_URI"].rstrip("/")
    kinds = {value: kind for kind, value in TYPES_OF_KEYS.items()}
    return FeatureView(
        name=name,
        entities=list(entities),
        ttl=ttl,
        tags={"statistics": f"feature_statistics/{name}"},
        source=FileSource(
            name=f"{name}_table",
            path=f"{root}/{table or f'features/{name}'}",
            timestamp_field=timestamp,
            created_timestamp_column=CREATED,
            file_format=DeltaFormat(),
        ),
        schema=[
            *(Field(name=one.join_key, dtype=kinds[one.value_type]) for one in entities),
            *(
                Field(name=field, dtype=dtype, description=text)
                for field, (dtype, text) in fields.items()
            ),
        ],
    )
