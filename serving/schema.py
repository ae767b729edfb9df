"""The request of one use case, made from its specification: strict types, no unknown field, finite numbers, times with a zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from include.spec import Column, UseCase
from serving.errors import InvalidError, field_path

TIME_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
TIME_TEXT = "ISO 8601 with a time zone, for example 2013-04-01T12:00:00Z, from 1970 to 2199"


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, str) or not TIME_PATTERN.fullmatch(value):
        raise PydanticCustomError("timestamp", "must be a string in ISO 8601 with a time zone")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("timestamp", "is no point in time: {reason}", {"reason": str(error)}) from error
    if not EARLIEST <= moment < LATEST:
        raise PydanticCustomError("timestamp", "must be between 1970 and 2199")
    return moment


Timestamp = Annotated[
    datetime,
    BeforeValidator(_timestamp),
    WithJsonSchema({"type": "string", "format": "date-time", "description": TIME_TEXT}, mode="validation"),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Integer = Annotated[int, Field(ge=-(2**53), le=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]

TYPES: dict[str, Any] = {"string": Text, "integer": Integer, "number": Number, "boolean": bool, "timestamp": Timestamp}
TEXTS = {
    "string": "a string of 1 to 200 characters",
    "integer": "an integer between -2^53 and 2^53",
    "number": "a finite number",
    "boolean": "true or false",
    "timestamp": TIME_TEXT,
}
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class RequestSchema:
    """The pydantic models of one use case. `types` maps each field of a row to what the specification calls its type."""

    use_case: UseCase
    row: type[BaseModel]
    request: type[BaseModel]
    types: dict[str, str]
    nullable: frozenset[str]

    def validate(self, document: Any) -> list[dict[str, Any]]:
        """The request's rows as dictionaries of typed values; raises `InvalidError` with the first field at fault."""
        try:
            request = self.request.model_validate(document)
        except ValidationError as error:
            raise self._refusal(error.errors(include_url=False, include_context=False)) from error
        return [row.__dict__ for row in request.rows]  # type: ignore[attr-defined]

    def _refusal(self, errors: list[ErrorDetails]) -> InvalidError:
        first = errors[0]
        location, kind = first["loc"], first["type"]
        path = field_path(location)
        more = f" ({len(errors)} fields are wrong; this is the first.)" if len(errors) > 1 else ""
        if kind == "extra_forbidden":
            fields = list(self.types) if len(location) > 1 else ["rows"]
            return InvalidError(422, "unknown_field", f"There is no field {path!r}.{more}", path, fields)
        if kind == "missing":
            return InvalidError(422, "missing_field", f"{path} is missing.{more}", path, self._valid(location))
        if kind in ("too_long", "too_short") and location == ("rows",):
            return InvalidError(422, "row_count", f"rows: {first['msg']}.", path, [f"1 to {self.use_case.serving.max_rows} rows"])
        return InvalidError(422, "invalid_value", f"{path}: {first['msg']}.{more}", path, self._valid(location))

    def _valid(self, location: tuple[int | str, ...]) -> list[str] | None:
        name = location[-1] if location else None
        if not isinstance(name, str) or name not in self.types:
            return {"rows": ["a list of rows"]}.get(str(name))
        return [TEXTS[self.types[name]], *(["null"] if name in self.nullable else [])]


def request_schema(use_case: UseCase) -> RequestSchema:
    """Make the request models of a use case.

    A row has the entity keys, the request fields, the event time, and optionally the id (which later finds the label).
    An entity key is nullable where its column in the entity table may hold nulls.
    """
    columns = {column.name: column for column in use_case.table(use_case.entity_table).columns}
    fields: dict[str, tuple[str, bool, str]] = {}
    for key in use_case.serving.entity_keys:
        fields[key] = ("string", columns[key].max_null_share > 0, _text(columns[key], "Entity key."))
    for field in use_case.serving.request_fields:
        fields[field.name] = (field.type, False, field.description)
    fields[use_case.event_time] = ("timestamp", False, "Event time: only what was known then is used.")
    definitions: dict[str, Any] = {
        name: (TYPES[kind] | None if nullable else TYPES[kind], Field(description=text)) for name, (kind, nullable, text) in fields.items()
    }
    id_text = "Optional: identifies the row, so that its label can be joined later."
    definitions[use_case.id_column] = (Text | None, Field(default=None, description=id_text))
    stem = "".join(part.capitalize() for part in use_case.name.split("_"))
    row = create_model(f"{stem}Row", __config__=STRICT, **definitions)
    rows = Annotated[list[row], Field(min_length=1, max_length=use_case.serving.max_rows)]
    request = create_model(f"{stem}Request", __config__=STRICT, rows=(rows, ...))
    nullable = frozenset({use_case.id_column, *(name for name, (_, may_be_null, _text) in fields.items() if may_be_null)})
    types = {**{name: kind for name, (kind, _, _) in fields.items()}, use_case.id_column: "string"}
    return RequestSchema(use_case, row, request, types, nullable)


def _text(column: Column, fallback: str) -> str:
    return column.description or fallback
