"""What feature_repo declares of every view's columns, without Feast where it was read before:
importing Feast takes longer than casting a month of features.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from include.errors import FeatureStoreError
from include.features.repository import Definitions, definitions_digest, names_of, reasons
from include.features.store import read_definitions
from include.features.views import COLUMN_TYPES, declared_columns
from include.files import write
from include.settings import Settings
from include.spec import ColumnType
from include.spec.base import suggestion
from include.tables.casting import Declared

FORMAT = 3


def declared_views(settings: Settings, views: Sequence[str]) -> dict[str, list[Declared]]:
    """View -> what its join keys, timestamp and features must be cast to.

    Raises `FeatureStoreError` naming a column of a type that no model reads, and a view that
    feature_repo does not define, or whose file is refused, with the reason.
    """
    content = _content(settings, definitions_digest(settings))
    defined = content["views"]
    for view in views:
        if view not in defined:
            why = reasons(content, names_of([view])) or [suggestion(view, defined).lstrip("; ")]
            raise FeatureStoreError(
                f"feature_repo does not define the feature view {view!r}: " + "\n".join(why)
            )
    return {
        view: declared_columns(
            view, defined[view]["types"], defined[view]["join_keys"], defined[view]["timestamp"]
        )
        for view in views
    }


def features_of(settings: Settings, views: Sequence[str]) -> dict[str, list[str]]:
    """View -> its features, without join keys and timestamp. Raises as `declared_views`."""
    declared = declared_views(settings, views)
    defined = _content(settings, definitions_digest(settings))["views"]
    return {
        view: [
            column.name
            for column in declared[view]
            if column.name not in (*defined[view]["join_keys"], defined[view]["timestamp"])
        ]
        for view in views
    }


def described_features(settings: Settings) -> dict[str, dict[str, tuple[ColumnType, str]]]:
    """Of every view that is applied, feature -> its type and its description, which may be empty.

    A view of a type that no model reads is left out: `declared_views` says what is wrong with it.
    """
    described = {}
    for view, defined in _content(settings, definitions_digest(settings))["views"].items():
        keys = (*defined["join_keys"], defined["timestamp"])
        types = {name: COLUMN_TYPES.get(kind) for name, kind in defined["types"].items()}
        described[view] = {
            name: (kind, defined["descriptions"].get(name, ""))
            for name, kind in types.items()
            if name not in keys and kind is not None
        }
    return described


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
    definitions = read_definitions(settings)
    content = {"key": key, **definitions.as_json(), "views": _views(definitions)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps(content))
    return content


def _views(definitions: Definitions) -> dict[str, Any]:
    from feast import FeatureView

    return {
        view.name: {
            "types": {
                field.name: field.dtype.to_value_type().name
                for field in (*view.entity_columns, *view.features)
            },
            "join_keys": [column.name for column in view.entity_columns],
            "timestamp": view.batch_source.timestamp_field,
            "descriptions": {
                field.name: field.description for field in view.features if field.description
            },
        }
        for view in definitions.objects
        if isinstance(view, FeatureView)
    }
