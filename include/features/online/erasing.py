"""Somebody's values out of Feast's online store: the rows whose entity key holds a value that is
to go, in every view that a use case reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from include.errors import FeatureStoreError
from include.features.online.reader import plain
from include.features.store import open_store, use_case_views
from include.settings import Settings
from include.spec import UseCase

BUSY_SECONDS = 60.0
Holds = Callable[[str, Any], bool]
"""Whether a value of a column is one of those that are to go."""


def erase_online(
    settings: Settings, use_case: UseCase, holds: Holds, *, write: bool
) -> dict[str, tuple[int, int]]:
    """By view, how many keys were there and how many were deleted with all their values.

    Raises `FeatureStoreError` for a store that is no file: there they stay.
    """
    store = open_store(settings)
    config = store.config
    if config.online_store.type != "sqlite":
        raise FeatureStoreError(
            f"the online store is {config.online_store.type}, from which this command cannot delete"
        )
    from feast.infra.key_encoding_utils import deserialize_entity_key
    from feast.infra.online_stores.sqlite import SqliteOnlineStore, _table_id

    path = Path(SqliteOnlineStore._get_db_path(config)).absolute()
    counts: dict[str, tuple[int, int]] = {}
    if not path.exists():
        return counts
    versioned = config.registry.enable_online_feature_view_versioning
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as database:
        database.execute("PRAGMA secure_delete=ON")
        for view in use_case_views(use_case, store):
            table = _table_id(config.project, store.get_feature_view(view.name), versioned)
            keys = [
                key
                for (key,) in database.execute(f'SELECT DISTINCT entity_key FROM "{table}"')  # noqa: S608  # Feast's name
                if _is_about(
                    deserialize_entity_key(key, config.entity_key_serialization_version), holds
                )
            ]
            with database:
                for key in keys if write else ():
                    database.execute(f'DELETE FROM "{table}" WHERE entity_key = ?', (key,))  # noqa: S608
            counts[view.name] = (len(keys), len(keys) if write else 0)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return counts


def _is_about(key: Any, holds: Holds) -> bool:
    values = map(plain, key.entity_values)
    return any(holds(name, value) for name, value in zip(key.join_keys, values, strict=True))
