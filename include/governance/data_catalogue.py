"""What is known of the data sets: their declarations, their versions, the models that they reached,
what people wrote beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.data_sets.versions import DataSetVersion, version_named, versions
from include.errors import DataError
from include.governance.annotations import Annotation, annotate, current, history
from include.spec import DataSet, UseCase
from include.tables.store import TableStore
from include.training.lineage import reached_by


def declared(cases: Sequence[UseCase]) -> dict[str, tuple[DataSet, list[str]]]:
    """Data set name -> declaration and the use cases that train on it.

    Raises `DataError` for two declarations of one name.
    """
    by_name: dict[str, tuple[DataSet, list[str]]] = {}
    for use_case in cases:
        data = use_case.training_data
        first, users = by_name.setdefault(data.name, (data, []))
        if first != data:
            raise DataError(
                f"Two data sets are called {data.name!r}, one in {users[0]} and one in"
                f" {use_case.name}: name one object in both."
            )
        users.append(use_case.name)
    return by_name


def overview(tables: TableStore, cases: Sequence[UseCase]) -> list[dict[str, Any]]:
    """One entry per data set, declared or built: what it is, who uses it, how many versions there
    are, the newest one.
    """
    by_name, built = declared(cases), versions(tables)
    names = sorted({*by_name, *(version.data_set for version in built)})
    return [
        _entry(name, by_name.get(name), [version for version in built if version.data_set == name])
        for name in names
    ]


def _entry(
    name: str, declaration: tuple[DataSet, list[str]] | None, built: Sequence[DataSetVersion]
) -> dict[str, Any]:
    data, users = declaration if declaration is not None else (None, [])
    facts = {
        field: None if data is None else getattr(data, field)
        for field in ("description", "owner", "licence", "sensitivity")
    }
    return {
        "name": name,
        **facts,
        "used_by": users,
        "versions": len(built),
        "newest": built[-1].name if built else None,
    }


def details(tables: TableStore, cases: Sequence[UseCase], name: str) -> dict[str, Any]:
    """A data set, or one version of it (`<name or table>@<version>`), with everything that is
    known.

    Raises `DataError` when it is neither declared nor built.
    """
    by_name = declared(cases)
    if name in by_name and not versions(tables, name):
        return {
            "name": name,
            "declaration": by_name[name][0].model_dump(mode="json"),
            "used_by": by_name[name][1],
            "versions": [],
        }
    selected = version_named(tables, name)
    shown = versions(tables, selected.data_set) if name == selected.data_set else [selected]
    data, users = by_name.get(selected.data_set, (None, []))
    return {
        "name": selected.data_set,
        "declaration": None if data is None else data.model_dump(mode="json"),
        "used_by": users,
        "versions": [_version(tables, version) for version in shown],
    }


def _version(tables: TableStore, version: DataSetVersion) -> dict[str, Any]:
    plain = {
        name: value for name, value in version.__dict__.items() if name not in ("window", "recipe")
    }
    remarks = [remark.as_json() for remark in history(tables, "data_set", version.name)]
    return {
        **plain,
        "window": version.window.as_json(),
        "reached": models_of(tables, "data_set", version.table, version.version),
        "annotations": remarks,
    }


def models_of(tables: TableStore, kind: str, name: str, version: int | None = None) -> list[str]:
    """The trainings that came from a data set or a table, or from one version of it:
    `<model>/<version>` of a registered one, the run with its decision of any other.
    """
    try:
        reached = reached_by(tables, kind, name=name, version=version)
    except DataError:
        return []
    return [
        (
            f"{part.model}/{part.model_version}"
            if part.model_version is not None
            else f"{part.run_id} ({part.decision})"
        )
        for part in reached
    ]


def annotate_data_set(
    tables: TableStore, name: str, text: str, *, author: str, replaces: str | None = None
) -> Annotation:
    """Write beside a data-set version, the newest where none is named.

    Raises `DataError` when there is no such version.
    """
    return annotate(
        tables,
        "data_set",
        version_named(tables, name).name,
        text,
        author=author,
        replaces=replaces,
    )


def remarks_of(tables: TableStore, snapshot: Mapping[str, Any]) -> list[Annotation]:
    """What stands beside the data-set version of a training."""
    return current(tables, "data_set", f"{snapshot['name']}@{snapshot['version']}")
