"""Whom features are about: the entities of feature_repo, and what there is of each to be used
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from include.errors import SpecError
from include.features.repository import ENTITY, Definitions, definition_files, identity
from include.features.store import read_definitions
from include.features.views import COLUMN_TYPES
from include.settings import Settings
from include.spec import ColumnType, UseCase
from include.spec.base import suggestion


@dataclass(frozen=True)
class SharedEntity:
    """An entity: its `name` in Feast, the column that it is looked up by and that column's type.

    `files` of feature_repo declare it, all alike; `views` are the features of each view about it
    (about a pair of entities, such as a route, too), and `use_cases` those that read one of these
    views or send its key.
    """

    name: str
    join_key: str
    type: ColumnType
    description: str
    files: tuple[str, ...]
    views: Mapping[str, tuple[str, ...]]
    use_cases: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {
            **self.__dict__,
            "files": list(self.files),
            "views": {view: list(features) for view, features in self.views.items()},
            "use_cases": list(self.use_cases),
        }


def shared_entities(settings: Settings, use_cases: Iterable[UseCase]) -> list[SharedEntity]:
    """The entities of the files that are applied, by name."""
    definitions, readers = read_definitions(settings), tuple(use_cases)
    first: dict[str, Any] = {}
    for each in definitions.objects:
        if identity(each)[0] == ENTITY:
            first.setdefault(each.name, each)
    return [_described(first[name], definitions, readers) for name in sorted(first)]


def entity_named(entities: Iterable[SharedEntity], name: str) -> SharedEntity:
    """The entity with this name or key. Raises `SpecError` with what is near otherwise."""
    listed = list(entities)
    for each in listed:
        if name in (each.name, each.join_key):
            return each
    names = [each.name for each in listed]
    raise SpecError(f"feature_repo has no entity {name!r}{suggestion(name, names)}")


def entity_by_key(settings: Settings, join_key: str, kind: ColumnType) -> SharedEntity | None:
    """The entity that is looked up by a column of this name and type, if feature_repo has one.

    Feast is read only where a file holds the name at all.
    """
    files = definition_files(settings)
    if not any(join_key in path.read_text(encoding="utf-8") for path in files):
        return None
    return next(
        (
            each
            for each in shared_entities(settings, ())
            if (each.join_key, each.type) == (join_key, kind)
        ),
        None,
    )


def _described(
    entity: Any, definitions: Definitions, use_cases: tuple[UseCase, ...]
) -> SharedEntity:
    files = [
        file.name
        for file in definitions.accepted
        if any(identity(each) == identity(entity) for each in file.objects)
    ]
    views = {
        each.name: tuple(field.name for field in each.features)
        for each in definitions.objects
        if entity.name in getattr(each, "entities", ())
    }
    return SharedEntity(
        name=entity.name,
        join_key=entity.join_key,
        type=COLUMN_TYPES[entity.value_type.name],
        description=entity.description,
        files=tuple(files),
        views=views,
        use_cases=tuple(
            sorted(
                use_case.name
                for use_case in use_cases
                if entity.join_key in use_case.serving.entity_keys
                or any(part.view in views for part in use_case.feature_tables)
            )
        ),
    )
