"""The online interface, and the request model that follows from it: what a caller sends, as the
entity table declares it, and what a model reads.

Training columns, the endpoint's contract, the inference log, batch scoring and the release check
all take types and nulls from here, so that no two of them can differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from include.spec.base import Part, Share, all_different, is_recorded
from include.spec.values import ColumnType

if TYPE_CHECKING:
    from include.spec.tables import Column
    from include.spec.use_case import UseCase

INPUT_TYPES: dict[str, ColumnType] = {"number": "number", "category": "string"}
"""Kind of an input -> type of its column; the other kinds read timestamps."""


class RequestField(Part):
    """A value that the caller sends beside the entity keys; it may be null where its column of the
    entity table may be.
    """

    name: str = Field(description="Its name in the request and in the entity table.")
    type: ColumnType | None = Field(
        default=None,
        description="What a caller must send. None by default: the type of its column in the entity"
        " table, which no other may contradict.",
    )
    optional: bool = Field(
        default=False,
        description="Whether a caller may leave it out; it is null then. False by default: who"
        " forgets it is told. True is how a field comes and goes while callers change"
        " (docs/changing-use-cases.md).",
    )
    description: str = Field(default="", description="What the caller is told about it.")


class Serving(Part):
    """The online interface: what a caller sends, from which probability on the decision is
    positive, and how answers are logged.
    """

    entity_keys: tuple[str, ...] = Field(
        description="Columns of the entity table by which features are looked up."
    )
    request_fields: tuple[RequestField, ...] = Field(
        default=(),
        description="Values that the caller sends beside the keys. Empty by default: keys suffice.",
    )
    decision_threshold: Share = Field(
        default=0.5,
        description=(
            "Probability from which on a binary decision is positive. 0.5 by default: both mistakes"
            " cost the same. Other problems decide nothing by it."
        ),
    )
    max_rows: int = Field(
        default=100,
        ge=1,
        description="Largest number of rows of one request. 100 by default: more are batch"
        " scoring.",
    )
    explain_share: Share = Field(
        default=0.0,
        description=(
            "Share of the answers whose contributions are logged, chosen by prediction id. 0 by"
            " default: they cost more than the score itself."
        ),
    )
    stale_features: Literal["default", "refuse"] = Field(
        default="default",
        description=(
            "Features older than their time to live: count them as missing (`default`), or refuse"
            " the request."
        ),
    )
    newer_features: Literal["flag", "refuse", "accept"] = Field(
        default="flag",
        description=(
            "Features whose event time is later than the row's own: use them and `flag` the answer,"
            " `refuse` the request, or `accept` them without a word. `flag` by default: the online"
            " store holds the newest values only, so a question about the past knows its future."
        ),
    )
    unknown_entities: Literal["default", "refuse"] = Field(
        default="default",
        description=(
            "A key without a feature row: count its features as missing (`default`), or refuse the"
            " request."
        ),
    )
    log_share: Share = Field(
        default=1.0,
        description="Share of the answered rows that are logged, chosen by prediction id. 1 by"
        " default: monitoring sees all.",
    )
    log_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that the tables of the log and of the feedback keep a row. None by"
        " default: for ever.",
    )
    feedback_days: int = Field(
        default=90,
        ge=1,
        description="Days after an answer in which feedback on it is taken. 90 by default.",
    )
    log_full: Literal["refuse", "answer"] = Field(
        default="refuse",
        description=(
            "What happens while the log takes no rows (a full disk, for example): `refuse` (the"
            " default) answers nothing that cannot be logged, `answer` goes on answering, counts"
            " exactly what is missing and raises an alarm (docs/inference-log.md)."
        ),
    )
    log_sync: Literal["answer", "second"] = Field(
        default="answer",
        description=(
            "When rows are on the disk: before their `answer` leaves (the default), or within a"
            " `second` of it; then they outlive every process, and a machine that loses its power"
            " may lose the last second."
        ),
    )
    max_smoke_ms: float = Field(
        default=250.0,
        gt=0.0,
        description=(
            "A release asks the endpoint over HTTP to look up and score the golden rows, again and"
            " again; where the median takes longer, in milliseconds, the release is taken back. 250"
            " by default: what a person does not wait for."
        ),
    )

    @model_validator(mode="after")
    def _declared_once(self, info: ValidationInfo) -> Serving:
        if not is_recorded(info):
            fields = [field.name for field in self.request_fields]
            all_different("serving.entity_keys and request_fields", [*self.entity_keys, *fields])
        return self


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

    A value is nullable where its column in the entity table may hold nulls, or where it may be left
    out. The id is optional: it later finds the label.
    """
    declared = {column.name: column for column in use_case.table(use_case.entity_table).columns}
    fields = {field.name: field for field in use_case.serving.request_fields}
    columns = [_requested(declared[name], fields.get(name)) for name in use_case.request_columns]
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


def _requested(column: Column, field: RequestField | None) -> RequestColumn:
    """An entity key, or a request field."""
    if field is None:
        return _column(column, column.description)
    description = field.description or column.description
    if not field.optional:
        return _column(column, description)
    return _column(column, description, nullable=True, optional=True)


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
