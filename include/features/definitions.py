"""What retrieval needs of Feast's registry, kept as JSON beside it: importing Feast and reading the
registry takes longer than the join.

The file is good for exactly the registry it was read from (size and time of change) and the
definitions that were applied; otherwise the registry is read again.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from include.features.store import check_keys, open_store, registry_stamp, use_case_views
from include.features.views import View
from include.files import write
from include.settings import Settings
from include.spec import UseCase

FORMAT = 2
"""Of the file: what a `View` says. Views of another format are read from the registry again."""
_VIEWS = TypeAdapter(tuple[View, ...])


def known_views(use_case: UseCase, settings: Settings) -> tuple[View, ...]:
    """The same as `use_case_views`, without Feast where the registry is as it was at the last
    reading.

    Raises `FeatureStoreError` when no definitions have been applied, or when inputs and feature
    service disagree.
    """
    key: dict[str, object] = {
        "format": FORMAT,
        "registry": registry_stamp(settings),
        "tables": settings.tables_uri,
        "service": use_case.feature_service,
        "references": list(use_case.feature_references),
    }
    as_read = "" if use_case.feature_service else "-of-versions"
    path = settings.feature_store_dir / f"views-{use_case.name}{as_read}.json"
    cached = _read(path, key)
    if cached is not None:
        check_keys(use_case, cached)
        return cached
    views = use_case_views(use_case, open_store(settings))
    write(path, json.dumps({"key": key, "views": json.loads(_VIEWS.dump_json(views))}))
    return views


def _read(path: Path, key: dict[str, object]) -> tuple[View, ...] | None:
    if key["registry"] is None:
        return None
    try:
        content = json.loads(path.read_text())
        return _VIEWS.validate_python(content["views"]) if content["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        # Missing, of another version of this code, or damaged: the registry is there to be read.
        return None
