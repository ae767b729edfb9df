"""What a version of a model is asked with, whatever the specification says today.

A version reads the inputs and the request that it was trained with. A specification moves on: it
drops an input or a request field, gives one another type, asks for a new one. As long as a version
from before is in force the endpoint, batch scoring and monitoring read the use case as that version
does (`as_read_by`): what it needs stays, and what it has never heard of may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from include.errors import SpecError
from include.features.store import NO_SERVICE
from include.features.transform import FeatureTransform
from include.spec import Column, ColumnType, Input, RequestColumn, RequestField, Table, UseCase
from include.spec.checks import VALID_TYPES
from include.spec.request import INPUT_TYPES, request_model


@dataclass(frozen=True)
class VersionInterface:
    """The inputs and the event time of one version, and what its callers send.

    `request` is empty where the package is from before requests were recorded: then its inputs say
    what they can.
    """

    version: int
    inputs: tuple[Input, ...]
    event_time: str
    request: tuple[RequestColumn, ...] = ()

    @classmethod
    def of(
        cls, version: int, transform: FeatureTransform, request: Sequence[RequestColumn]
    ) -> VersionInterface:
        """The interface of a fitted transform and the recorded request."""
        return cls(version, transform.inputs, transform.event_time, tuple(request))


def as_read_by(use_case: UseCase, interfaces: Sequence[VersionInterface]) -> UseCase:
    """The use case as these versions read it together; itself where they read what it declares.

    A request field that one of them needs is a request field, of the type that it was trained with;
    one that none of them has heard of is optional. The inputs are theirs. A column that no table
    declares any more is not logged. Raises `SpecError` where two versions read one name as two
    types: they cannot answer the same requests.
    """
    if not interfaces:
        return use_case
    inputs, columns = _inputs(use_case, interfaces), _changed_columns(use_case, interfaces)
    changes: dict[str, Any] = {}
    if inputs is not None:
        changes |= {"inputs": inputs, "feature_service": NO_SERVICE}
    if columns:
        changes |= {
            "serving": use_case.serving.model_copy(
                update={"request_fields": _request_fields(use_case, columns)}
            ),
            "tables": tuple(
                _with_columns(table, columns) if table.name == use_case.entity_table else table
                for table in use_case.tables
            ),
        }
    return use_case.model_copy(update=changes) if changes else use_case


def undeclared_sources(use_case: UseCase, interface: VersionInterface) -> list[str]:
    """The columns of the entity table that the version reads and the specification declares no
    more: nobody delivers them.
    """
    declared = {column.name for column in use_case.table(use_case.entity_table).columns}
    read = dict.fromkeys(item.source for item in interface.inputs if item.view is None)
    return [name for name in read if name not in declared]


def _inputs(use_case: UseCase, interfaces: Sequence[VersionInterface]) -> tuple[Input, ...] | None:
    """The versions' inputs, each source once a kind; None where they read what is declared."""
    inputs = [item for interface in interfaces for item in interface.inputs]
    types: dict[str, ColumnType] = {}
    for item in inputs:
        kind = types.setdefault(item.source, _type(item))
        if kind != _type(item):
            raise SpecError(_conflict(interfaces, item.source, kind, _type(item)))
    if _reads(inputs) == _reads(use_case.inputs):
        return None
    return tuple({(item.source, item.kind, item.timezone): item for item in inputs}.values())


def _reads(inputs: Iterable[Input]) -> set[tuple[str, ColumnType]]:
    """What must be looked up or sent; what is made of it is the version's own matter."""
    return {(item.source, _type(item)) for item in inputs}


def _type(item: Input) -> ColumnType:
    return INPUT_TYPES.get(item.kind, "timestamp")


def _changed_columns(
    use_case: UseCase, interfaces: Sequence[VersionInterface]
) -> dict[str, RequestColumn]:
    """The columns of the request that are not as the specification declares them, by name."""
    today = {column.name: column for column in request_model(use_case)}
    needed: dict[str, RequestColumn] = {}
    for interface in interfaces:
        for column in _asked(use_case, interface):
            other = needed.setdefault(column.name, column)
            if other.type != column.type:
                raise SpecError(_conflict(interfaces, column.name, other.type, column.type))
            if other.optional and not column.optional:
                needed[column.name] = column
    changed = {
        name: column
        for name, column in needed.items()
        if name not in today
        or column.type != today[name].type
        or (today[name].optional and not column.optional)
    }
    if all(interface.request for interface in interfaces):
        changed |= {
            field.name: today[field.name].model_copy(update={"optional": True, "nullable": True})
            for field in use_case.serving.request_fields
            if field.name not in needed and not today[field.name].optional
        }
    return changed


def _asked(use_case: UseCase, interface: VersionInterface) -> list[RequestColumn]:
    """What the version's callers send beside event time and id."""
    apart = {use_case.event_time, use_case.id_column, interface.event_time}
    if interface.request:
        return [
            column
            for column in interface.request
            if column.name not in apart or column.name in use_case.request_columns
        ]
    declared = {column.name: column for column in use_case.table(use_case.entity_table).columns}
    today = {column.name: column for column in request_model(use_case)}
    asked = []
    for item in interface.inputs:
        if item.view is not None or item.source in apart - {*today}:
            continue
        column = declared.get(item.source)
        fits = column is not None and column.type in VALID_TYPES[item.kind]
        if item.source in today and fits:
            asked.append(today[item.source])
            continue
        asked.append(
            RequestColumn(
                name=item.source,
                type=column.type if column is not None and fits else _type(item),
                nullable=column is None or column.max_null_share > 0,
                optional=False,
            )
        )
    return asked


def _conflict(
    interfaces: Sequence[VersionInterface], name: str, one: ColumnType, other: ColumnType
) -> str:
    versions = sorted({interface.version for interface in interfaces})
    return (
        f"The versions {versions} read {name!r} as {one} and as {other}: no request can be answered"
        " by all of them. Give the column another name and train again, or release the newer one"
        " directly."
    )


def _request_fields(
    use_case: UseCase, columns: dict[str, RequestColumn]
) -> tuple[RequestField, ...]:
    fields = [
        field.model_copy(update={"optional": columns[field.name].optional, "type": None})
        if field.name in columns
        else field
        for field in use_case.serving.request_fields
    ]
    added = [
        RequestField(name=name, optional=column.optional, description=column.description)
        for name, column in columns.items()
        if name not in use_case.request_columns
    ]
    return (*fields, *added)


def _with_columns(table: Table, columns: dict[str, RequestColumn]) -> Table:
    declared = {column.name for column in table.columns}
    declared_columns = [
        column.model_copy(update=_as_sent(columns[column.name]))
        if column.name in columns
        else column
        for column in table.columns
    ]
    added = [
        Column(
            name=name,
            type=column.type,
            max_null_share=float(column.nullable),
            # How it was marked stood in the table that declared it.
            privacy="drop",
            description=column.description,
        )
        for name, column in columns.items()
        if name not in declared
    ]
    return table.model_copy(update={"columns": (*declared_columns, *added)})


def _as_sent(column: RequestColumn) -> dict[str, Any]:
    return {"type": column.type, "max_null_share": float(column.nullable)}
