"""What feature_repo declares of every view's columns, without Feast where it was read before:
importing Feast takes longer than casting a month of features.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from include.features.store import definitions, definitions_digest
from include.features.views import declared_columns
from include.files import write
from include.settings import Settings
from include.tables.casting import Declared

FORMAT = 1


def declared_views(settings: Settings) -> dict[str, list[Declared]]:
    """View -> what its join keys, timestamp and features must be cast to.

    Raises `FeatureStoreError` naming a column of a type that no model reads.
    """
    content = _content(settings, definitions_digest(settings))
    return {
        name: declared_columns(name, view["types"], view["join_keys"], view["timestamp"])
        for name, view in content["views"].items()
    }


@lru_cache(maxsize=8)
def _content(settings: Settings, digest: str) -> dict[str, Any]:
    path = settings.feature_store_dir / "declared.json"
    key = {"format": FORMAT, "definitions": digest}
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        if content["key"] == key:
            return content
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing, or of another version of this code: the definitions are there to be read
    content = {"key": key, "views": _views(settings)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps(content))
    return content


def _views(settings: Settings) -> dict[str, Any]:
    from feast import FeatureView

    return {
        view.name: {
            "types": {
                field.name: field.dtype.to_value_type().name
                for field in (*view.entity_columns, *view.features)
            },
            "join_keys": [column.name for column in view.entity_columns],
            "timestamp": view.batch_source.timestamp_field,
        }
        for view in definitions(settings)
        if isinstance(view, FeatureView)
    }
