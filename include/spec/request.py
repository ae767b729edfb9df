"""The request model: what a caller sends, as the entity table declares it, and what a model reads.

Training columns, the endpoint's contract, the inference log, batch scoring and the release check
all take types and nulls from here, so that no two of them can differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from include.spec.values import ColumnType

if TYPE_CHECKING:
    from include.spec.tables import Column
    from include.spec.use_case import UseCase

INPUT_TYPES: dict[str, ColumnType] = {"number": "number", "category": "string"}
"""Kind of an input -> type of its column; the other kinds read timestamps."""


class RequestColumn(BaseModel):
    """One value that a caller sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Its name in a request, a file and the entity table.")
    type: ColumnType = Field(description="What it must hold.")
    nullable: bool = Field(description="Whether it may be null.")
    optional: bool = Field(description="Whether it may be left out.")
    description: str = Field(default="", description="What a caller is told about it.")


def request_model(use_case: UseCase) -> tuple[RequestColumn, ...]:
    """Entity keys, request fields, event time and id, in this order, each once.

    A value is nullable where its column in the entity table may hold nulls. The id is optional: it
    later finds the label.
    """
    declared = {column.name: column for column in use_case.table(use_case.entity_table).columns}
    texts = {field.name: field.description for field in use_case.serving.request_fields}
    columns = [
        _column(declared[name], texts.get(name) or declared[name].description)
        for name in use_case.request_columns
    ]
    taken = set(use_case.request_columns)
    if use_case.event_time not in taken:
        event_time = declared[use_case.event_time]
        columns.append(_column(event_time, nullable=False))
    if use_case.id_column not in taken:
        id_column = declared[use_case.id_column]
        columns.append(_column(id_column, nullable=True, optional=True))
    return tuple(columns)


def exchanged_columns(use_case: UseCase, table: str) -> frozenset[str]:
    """The columns of a table whose values a caller sends; none of any but the entity table."""
    if table != use_case.entity_table:
        return frozenset()
    return frozenset(column.name for column in request_model(use_case))


def feature_types(use_case: UseCase) -> dict[str, ColumnType]:
    """`<view>__<feature>` -> the type that the model reads, in the inputs' order."""
    return {
        item.source.replace(":", "__"): INPUT_TYPES.get(item.kind, "timestamp")
        for item in use_case.inputs
        if item.view is not None
    }


def _column(
    column: Column, description: str = "", *, nullable: bool | None = None, optional: bool = False
) -> RequestColumn:
    return RequestColumn(
        name=column.name,
        type=column.type,
        nullable=column.max_null_share > 0 if nullable is None else nullable,
        optional=optional,
        description=description,
    )
