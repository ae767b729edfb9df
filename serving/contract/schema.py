"""The schema of a use case's request is made from its specification: strict types, no unknown
field, finite numbers, times with a zone.

The checks are one compiled validator over typed dictionaries: a row costs about a microsecond and
becomes no object. The OpenAPI document is made from the same definition, and the patterns and
bounds in it are the whole of what is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, NotRequired

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    with_config,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from include.spec import ColumnType, RequestColumn, UseCase, feature_types, request_model
from include.spec.values import LARGEST_INTEGER, LARGEST_NUMBER, LONGEST_TEXT
from serving.contract.errors import InvalidError, field_path

FEATURES = "features"
_LEAP_DAY = (
    "(19(7[26]|8[048]|9[26])|20([02468][048]|[13579][26])|21(0[48]|[2468][048]|[13579][26]))-02-29"
)
_DAY = (
    "(19[7-9][0-9]|2[01][0-9]{2})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
TIME_PATTERN = (
    f"^({_DAY}|{_LEAP_DAY})[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{{1,6}})?)?"
    "([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])$"
)
TIME_TEXT = "ISO 8601 with a time zone, for example 2013-04-01T12:00:00Z, from 1970 to 2199"


@lru_cache(
    maxsize=4096
)  # the rows of a request, and requests of one moment, mostly share their times
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _whole(number: float) -> int:
    # JSON knows no difference between 1 and 1.0; strict mode has refused texts and booleans
    # already.
    if not -LARGEST_INTEGER <= number <= LARGEST_INTEGER or number != int(number):
        raise PydanticCustomError("integer", "must be an integer of at most 53 bits")
    return int(number)


Timestamp = Annotated[str, StringConstraints(pattern=TIME_PATTERN), AfterValidator(_moment)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Integer = Annotated[
    float,
    AfterValidator(_whole),
    WithJsonSchema({"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}),
]
Number = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)]

TYPES: dict[ColumnType, Any] = {
    "string": Text,
    "integer": Integer,
    "number": Number,
    "boolean": bool,
    "timestamp": Timestamp,
}
TEXTS: dict[ColumnType, str] = {
    "string": f"a string of 1 to {LONGEST_TEXT} characters",
    "integer": "an integer of at most 53 bits",
    "number": f"a finite number between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}",
    "boolean": "true or false",
    "timestamp": TIME_TEXT,
}
NEWER_TEXTS = {
    "flag": "The newest features are used; `newer:<view>` flags those that are later than this.",
    "refuse": "Only what was known then is used: where features are later, the row is refused.",
    "accept": "The newest features are used, also where they are later than this.",
}
"""What a caller may expect of time, by `Serving.newer_features`."""
Location = tuple[int | str, ...]
ValidTexts = Callable[[Location], list[str] | None]
STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class RequestSchema:
    """The compiled check of one use case.

    `types` maps each field of a row to what the specification calls its type, `features` each
    `view__feature`; those in `nullable` may be null (every feature may: null is a missing value),
    those in `optional` may be left out, which says null.
    """

    use_case: UseCase
    adapter: TypeAdapter[Any]
    types: dict[str, ColumnType]
    features: dict[str, ColumnType]
    nullable: frozenset[str]
    optional: frozenset[str]
    _check: Callable[[Any], Any]

    def validate(self, document: Any) -> list[dict[str, Any]]:
        """Return the request's rows as dictionaries of typed values; raise `InvalidError` with the
        first field at fault.

        Every row holds all fields, null where an optional one was not sent; `features` only if it
        was sent.
        """
        try:
            rows: list[dict[str, Any]] = self._check(document)["rows"]
        except ValidationError as error:
            raise invalid(error, self._siblings, self._valid) from error
        return rows

    def _siblings(self, location: Location) -> list[str]:
        if len(location) == 1:
            return ["rows"]
        return sorted(self.features) if FEATURES in location[:-1] else [*self.types, FEATURES]

    def _valid(self, location: Location) -> list[str] | None:
        if not location:
            return ["an object with the list rows"]
        name = location[-1]
        if name == "rows":
            return [f"a list of 1 to {self.use_case.serving.max_rows} rows"]
        if isinstance(name, int):
            return [f"an object with {', '.join(self.types)}"]
        if name == FEATURES:
            return [f"an object with all of {sorted(self.features)}"]
        kind = {**self.features, **self.types}.get(name)
        return None if kind is None else [TEXTS[kind], *(["null"] if name in self.nullable else [])]


def invalid(error: ValidationError, siblings: ValidTexts, valid: ValidTexts) -> InvalidError:
    """Return the first of a validator's complaints.

    `siblings` lists the fields beside one, `valid` what may stand there.
    """
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    location, kind, message = errors[0]["loc"], errors[0]["type"], errors[0]["msg"]
    path = field_path(location)
    more = f" ({len(errors)} fields are wrong; this is the first.)" if len(errors) > 1 else ""
    if kind == "extra_forbidden":
        return InvalidError(
            422, "unknown_field", f"There is no field {path!r}.{more}", path, siblings(location)
        )
    if kind == "missing":
        return InvalidError(
            422, "missing_field", f"{path} is missing.{more}", path, valid(location)
        )
    if kind in ("too_long", "too_short"):
        return InvalidError(422, "row_count", f"{path}: {message}.", path, valid(location))
    text = "has another form" if kind == "string_pattern_mismatch" else message
    return InvalidError(
        422,
        "invalid_value",
        f"{path or 'The document'}: {text}.{more}",
        path or None,
        valid(location),
    )


def request_schema(use_case: UseCase) -> RequestSchema:
    """Compile the check of a use case's requests from its request model: what the training columns
    are declared as, and nothing else.

    A row has the entity keys, the request fields, the event time, and optionally the id (which
    later finds the label). With `features`, a value for every `view__feature` that the model reads,
    nothing is looked up.
    """
    columns, features = request_model(use_case), feature_types(use_case)
    definitions = {column.name: _typed_column(use_case, column) for column in columns}
    stem = component_name(use_case)
    row_features: Any = strict_object(
        f"{stem}Features", {name: _typed(kind, True, Field()) for name, kind in features.items()}
    )
    definitions[FEATURES] = NotRequired[
        Annotated[
            row_features,
            Field(description="All features of the row, instead of looking them up."),
        ]
    ]
    row: Any = strict_object(f"{stem}Row", definitions)
    rows: Any = Annotated[list[row], Field(min_length=1, max_length=use_case.serving.max_rows)]
    adapter = TypeAdapter[Any](strict_object(f"{stem}Request", {"rows": rows}))
    nullable = {*features, *(column.name for column in columns if column.nullable)}
    return RequestSchema(
        use_case,
        adapter,
        {column.name: column.type for column in columns},
        features,
        frozenset(nullable),
        frozenset(column.name for column in columns if column.optional),
        adapter.validator.validate_python,
    )


def _typed_column(use_case: UseCase, column: RequestColumn) -> Any:
    if column.name == use_case.event_time:
        text = f"Event time. {NEWER_TEXTS[use_case.serving.newer_features]} {TIME_TEXT}."
    elif column.optional and column.name == use_case.id_column:
        text = "Optional: identifies the row, so that its label can be joined later."
    elif column.optional:
        text = f"Optional: null where it is left out. {column.description}".strip()
    else:
        text = column.description or "Entity key."
    field = Field(default=None, description=text) if column.optional else Field(description=text)
    return _typed(column.type, column.nullable, field)


def component_name(use_case: UseCase) -> str:
    """Say what the names of a use case's types begin with in the OpenAPI document: of two names
    never the same, so where no letter follows "_" it stays.
    """
    first, *others = use_case.name.split("_")
    return first.capitalize() + "".join(
        part.capitalize() if part[:1].isalpha() else f"_{part}" for part in others
    )


def _typed(kind: ColumnType, nullable: bool, field: Any) -> Any:
    return Annotated[TYPES[kind] | None if nullable else TYPES[kind], field]


def strict_object(name: str, fields: dict[str, Any]) -> Any:
    """Return the type of a JSON object that holds these fields and no other."""
    made: Any = TypedDict(name, fields)  # type: ignore[misc]
    return with_config(STRICT)(made)
