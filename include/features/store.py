"""Feast's registry and stores: opening them, applying the definitions of feature_repo, reading what
they say.

Only definitions and storage are Feast's. The registry is a SQL database (Feast's file registry
loses concurrent applies), and applying takes a file lock besides, because Feast reads, compares and
writes in separate transactions.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from include.catalogue import running
from include.errors import FeatureStoreError, SpecError
from include.features.online.feast_rows import through_feast
from include.features.repository import (
    TABLES_VARIABLE,
    Definitions,
    applied,
    definitions_digest,
    load,
    note_applied,
)
from include.features.shared_registry import applying, shared_stamp
from include.features.views import COLUMN_TYPES, View
from include.files import sqlite_url
from include.settings import Settings
from include.settings.online_store import online_store_config
from include.spec import UseCase
from include.spec.checks import check_kind

if TYPE_CHECKING:
    from feast import FeatureStore

STORE_VARIABLE = "FLIGHTDECK_FEATURE_STORE_DIR"
REGISTRY_FILE = "registry.db"
NO_SERVICE = ""
"""The feature service of a use case whose features are read one by one."""


def open_store(settings: Settings) -> FeatureStore:
    """The feature store of these settings, opened once per process.

    Raises `FeatureStoreError` when no definitions have been applied yet.
    """
    if _applied_digest(settings) is None:
        where = "the registry" if settings.feature_registry else settings.feature_store_dir
        raise FeatureStoreError(
            f"There is no feature store in {where}; run apply_definitions(settings) first."
        )
    settings.feature_store_dir.mkdir(parents=True, exist_ok=True)
    return _opened(settings)


def apply_definitions(settings: Settings) -> bool:
    """Write the definitions in feature_repo to Feast's registry and create the online tables;
    whether anything changed.

    Idempotent and safe to call from several processes at once: the same definitions are applied
    once to the same online store. A file that is wrong is left out, and what it had applied before
    stays. Raises `FeatureStoreError` when an online store behind a network cannot be reached.
    """
    folder = settings.feature_store_dir
    folder.mkdir(parents=True, exist_ok=True)
    digest = definitions_digest(settings)
    with (folder / "apply.lock").open("w") as lock, applying(settings) as shared:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = _marker(settings)
        if (shared.digest if shared else _text(marker)) == digest:
            if not applied(settings):  # by another host, or before such notes were made
                note_applied(settings, read_definitions(settings))
            return False
        store = _opened(settings)
        if store.config.online_store.type == "sqlite":
            _write_ahead(folder / "online.db")
        definitions = read_definitions(settings)
        _apply(store, settings, definitions)
        refresh_definitions(store)
        note_applied(settings, definitions)
        if shared:
            shared.note(digest)
        marker.write_text(digest)
    return True


def _apply(store: FeatureStore, settings: Settings, definitions: Definitions) -> None:
    """Apply what is accepted; where Feast refuses the whole, file by file, so that one that it
    refuses stops no other.
    """
    repo = settings.feature_repo
    try:
        with running(repo, f"{repo.name}", "cannot be applied"), through_feast(store):
            store.apply(definitions.objects)
    except SpecError:
        for file in definitions.accepted:
            needed = [each for objects in file.imported.values() for each in objects]
            path = repo / file.name
            name = f"{repo.name}/{file.name}"
            try:
                with running(path, name, "cannot be applied"), through_feast(store):
                    store.apply([*needed, *file.objects])
            except SpecError as error:
                definitions.refused[file.name] = str(error)


def refresh_definitions(store: FeatureStore) -> None:
    """Read the registry again: another process may have applied other definitions."""
    store.refresh_registry()
    _views.cache_clear()


def registry_stamp(settings: Settings) -> list[object] | None:
    """What changes with the registry: the applied definitions' digest, and its file's size and time
    of change, or on a server the number of the application. `None` where nothing was applied.
    """
    if settings.feature_registry is not None:
        stamp = shared_stamp(settings)
        return None if stamp is None else list(stamp)
    try:
        about = (settings.feature_store_dir / REGISTRY_FILE).stat()
        return [_marker(settings).read_text(), about.st_size, about.st_mtime_ns]
    except FileNotFoundError:
        return None


def use_case_views(use_case: UseCase, store: FeatureStore) -> tuple[View, ...]:
    """The feature views that the use case's inputs refer to, as the registry defines them.

    Raises `FeatureStoreError` when the inputs and the feature service disagree, naming what to
    edit. A use case as an older version reads it has no service: then a feature is named that
    feature_repo defines no more.
    """
    views = _views(use_case.name, use_case.feature_service, use_case.feature_references, store)
    check_keys(use_case, views)
    return views


def check_input_types(use_case: UseCase, views: tuple[View, ...]) -> None:
    """Raise `FeatureStoreError` naming the input whose feature has another type than it reads."""
    types = {
        f"{view.name}:{feature}": COLUMN_TYPES[view.types[feature]]
        for view in views
        for feature in view.features
    }
    for item in use_case.inputs:
        if item.view is not None:
            try:
                check_kind(item, types[item.source])
            except ValueError as error:
                raise FeatureStoreError(
                    f"{use_case.name}, by feature_repo/: {error}. Correct one of the two."
                ) from error


def check_keys(use_case: UseCase, views: tuple[View, ...]) -> None:
    """Raise `FeatureStoreError` unless keys have one type in the entity table and in Feast: of two
    types they would never meet.
    """
    declared = {column.name: column for column in use_case.table(use_case.entity_table).columns}
    for view in views:
        # Raises where a type of Feast's is none that a model reads.
        types = {column.name: column.type for column in view.declared}
        for key in view.join_keys:
            if key in declared and declared[key].type != types[key]:
                raise FeatureStoreError(
                    f"The join key {key!r} of the feature view {view.name!r} is {types[key]} in"
                    f" feature_repo/ and {declared[key].type} in the table"
                    f" {use_case.entity_table!r} of {use_case.name}. Correct one of the two."
                )


@lru_cache(maxsize=16)
def _views(
    use_case: str, service_name: str, references: tuple[str, ...], store: FeatureStore
) -> tuple[View, ...]:
    if service_name != NO_SERVICE:
        _check_service(use_case, service_name, references, store)
    by_view: dict[str, list[str]] = {}
    for reference in references:
        view, _, feature = reference.partition(":")
        by_view.setdefault(view, []).append(feature)
    return tuple(
        _view(use_case, store, view, tuple(dict.fromkeys(features)))
        for view, features in by_view.items()
    )


def _check_service(
    use_case: str, service_name: str, references: tuple[str, ...], store: FeatureStore
) -> None:
    service = _service(use_case, service_name, store)
    offered = {
        f"{part.name_to_use()}:{feature.name}"
        for part in service.feature_view_projections
        for feature in part.features
    }
    required = set(references)
    if offered != required:
        raise FeatureStoreError(
            f"The inputs of {use_case} and the feature service {service_name!r} disagree: only the"
            f" inputs name {sorted(required - offered)}, only the service"
            f" {sorted(offered - required)}. Edit `inputs` in include/use_cases/{use_case}/spec.py"
            " or the FeatureService in feature_repo/, then apply the definitions."
        )


def _service(use_case: str, name: str, store: FeatureStore) -> Any:
    from feast.errors import FeatureServiceNotFoundException

    try:
        return store.get_feature_service(name)
    except FeatureServiceNotFoundException as error:
        services = sorted(service.name for service in store.list_feature_services())
        raise FeatureStoreError(
            f"{use_case} reads the feature service {name!r}, which is not in Feast's registry;"
            f" there are {services}. Define it in feature_repo/ or correct `feature_service` in"
            f" include/use_cases/{use_case}/spec.py."
        ) from error


def _view(use_case: str, store: FeatureStore, name: str, features: tuple[str, ...]) -> View:
    from feast.errors import FeatureViewNotFoundException

    try:
        definition = store.get_feature_view(name)
    except FeatureViewNotFoundException as error:
        raise FeatureStoreError(_gone(use_case, [f"{name}:{part}" for part in features])) from error
    defined = {field.name for field in definition.features}
    gone = [f"{name}:{feature}" for feature in features if feature not in defined]
    if gone:
        raise FeatureStoreError(_gone(use_case, gone))
    return View(
        name=name,
        join_keys=tuple(column.name for column in definition.entity_columns),
        features=features,
        timestamp=definition.batch_source.timestamp_field,
        created=definition.batch_source.created_timestamp_column or "",
        table_uri=definition.batch_source.path,
        ttl=definition.ttl or None,
        types=_types(definition, features),
    )


def _gone(use_case: str, references: list[str]) -> str:
    return (
        f"A version of {use_case} reads the features {references}, which feature_repo/ does not"
        " define any more: they cannot be looked up. Define them again and apply the definitions,"
        " or serve a version that does not read them."
    )


def _types(definition: Any, features: tuple[str, ...]) -> dict[str, str]:
    fields = [*definition.entity_columns, *definition.features]
    keys = {column.name for column in definition.entity_columns}
    return {
        field.name: field.dtype.to_value_type().name
        for field in fields
        if field.name in keys or field.name in features
    }


def _opened(settings: Settings) -> FeatureStore:
    return _open(
        str(settings.feature_repo),
        str(settings.feature_store_dir),
        settings.tables_uri,
        settings.online_store,
        settings.feature_registry,
        os.getpid(),
    )


@lru_cache(maxsize=8)
def _open(
    repo: str,
    folder: str,
    tables_uri: str,
    online_store: str | None,
    registry: str | None,
    _process: int,
) -> FeatureStore:
    # The process is part of the key: a forked child must not share its parent's SQLite connections.
    import yaml  # type: ignore[import-untyped]
    from feast import FeatureStore, RepoConfig

    text = (Path(repo) / "feature_store.yaml").read_text()
    values = _substituted(
        yaml.safe_load(text), {STORE_VARIABLE: folder, TABLES_VARIABLE: tables_uri}
    )
    values["registry"]["path"] = registry or sqlite_url(Path(folder) / REGISTRY_FILE)
    if online_store is not None:
        values["online_store"] = online_store_config(online_store, Path(folder))
    return FeatureStore(
        config=RepoConfig(
            **{**values, "online_store": _ours(values["online_store"])}, repo_path=Path(repo)
        )
    )


def _substituted(value: Any, variables: Mapping[str, str]) -> Any:
    """The variables filled in after YAML was read: a path may hold signs that mean something in
    it.
    """
    if isinstance(value, dict):
        return {name: _substituted(part, variables) for name, part in value.items()}
    return Template(value).substitute(variables) if isinstance(value, str) else value


def _ours(online_store: dict[str, Any]) -> dict[str, Any]:
    """Feast's options that materialising relies on: it compares times itself, corrections of the
    same time among them, one at a time.
    """
    fixed: dict[str, dict[str, Any]] = {
        "redis": {"skip_dedup": True},
        "postgres": {"conn_type": "singleton"},
    }
    return {**online_store, **fixed.get(online_store["type"], {})}


def read_definitions(settings: Settings) -> Definitions:
    """What the files of feature_repo define, and which of them are refused."""
    return load(settings)


def _marker(settings: Settings) -> Path:
    return settings.feature_store_dir / "applied.sha256"


def _applied_digest(settings: Settings) -> str | None:
    """The digest of the definitions that were applied last; None before."""
    if settings.feature_registry is not None:
        stamp = shared_stamp(settings)
        return None if stamp is None else stamp[0]
    return _text(_marker(settings))


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _write_ahead(path: Path) -> None:
    """Let readers go on while somebody writes: SQLite's WAL, a property of the file."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
