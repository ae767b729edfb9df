"""Feedback as a caller sends it: what came true (`label`) or what an answer was worth (`reward`),
by prediction id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired

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

from include.inference_log.log import LABEL, Feedback
from include.spec import ProblemKind, UseCase
from serving.contract.errors import InvalidError
from serving.contract.schema import (
    TIME_TEXT,
    Location,
    Number,
    Timestamp,
    component_name,
    invalid,
    strict_object,
)

REWARD = "reward"
MAX_ROWS = 1000
AHEAD = 86_400_000_000
"""By how many microseconds `known_at` may lie after our clock: either clock may be set wrong."""
ONE_OF_TWO = ConfigDict(
    extra="forbid",
    strict=True,
    json_schema_extra={"oneOf": [{"required": [LABEL]}, {"required": [REWARD]}]},
)
ID_PATTERN = "^[0-9a-f]{32}$"


def _zero_or_one(value: float) -> float:
    if value not in (0.0, 1.0):
        raise PydanticCustomError("label", "must be 0 or 1")
    return value


# A number, not a literal of Python: true equals 1 there, and 1.0 is the integer 1 in JSON.
ZERO_OR_ONE = Annotated[float, AfterValidator(_zero_or_one), WithJsonSchema({"enum": [0, 1]})]


@dataclass(frozen=True)
class FeedbackSchema:
    """The compiled check of one use case's feedback."""

    use_case: UseCase
    adapter: TypeAdapter[Any]
    labels: list[str]
    _check: Callable[[Any], Any]

    def validate(self, document: Any) -> list[Feedback]:
        """Return the rows, received now; without `known_at` they became known now.

        Raises `InvalidError` with the first field at fault.
        """
        try:
            rows: list[dict[str, Any]] = self._check(document)["feedback"]
        except ValidationError as error:
            raise invalid(error, self._siblings, self._valid) from error
        now = time.time_ns() // 1000
        return [self._feedback(position, row, now) for position, row in enumerate(rows)]

    def _feedback(self, position: int, row: dict[str, Any], now: int) -> Feedback:
        names = [name for name in (LABEL, REWARD) if name in row]
        if len(names) != 1:
            path = f"feedback[{position}]"
            text = (
                f"{path} needs exactly one of label and reward, and has"
                f" {' and '.join(names) or 'neither'}."
            )
            raise InvalidError(
                422, "missing_field" if not names else "invalid_value", text, path, [LABEL, REWARD]
            )
        value, known_at = row[names[0]], self._known_at(position, row, now)
        return Feedback(
            use_case=self.use_case.name,
            prediction_id=row["prediction_id"],
            name=names[0],
            value=None if isinstance(value, str) else float(value),
            text=value if isinstance(value, str) else None,
            known_at=known_at,
            received_at=now,
        )

    @staticmethod
    def _known_at(position: int, row: dict[str, Any], now: int) -> int:
        known_at = row.get("known_at")
        if known_at is None:
            return now
        moment = _microseconds(known_at)
        if moment > now + AHEAD:
            clock = datetime.fromtimestamp(now // 1_000_000, UTC)
            raise InvalidError(
                422,
                "invalid_value",
                f"feedback[{position}].known_at is {known_at.isoformat()}, more than a day after"
                f" this endpoint's clock ({clock.isoformat()}): nothing can be known before it has"
                " happened.",
                f"feedback[{position}].known_at",
                ["a moment that has passed", "left out: it became known now"],
            )
        return moment

    def _siblings(self, location: Location) -> list[str]:
        return ["feedback"] if len(location) == 1 else ["prediction_id", LABEL, REWARD, "known_at"]

    def _valid(self, location: Location) -> list[str] | None:
        if not location or location == ("feedback",):
            return [f"an object with feedback, a list of 1 to {MAX_ROWS} rows"]
        texts = {
            LABEL: self.labels,
            REWARD: ["a finite number"],
            "known_at": [TIME_TEXT],
            "prediction_id": ["32 hexadecimal digits"],
        }
        return texts.get(str(location[-1]))


def _class_label(use_case: UseCase) -> tuple[Any, list[str]]:
    classes = use_case.problem.class_names
    return Literal[classes], list(classes)


LABELS: dict[ProblemKind, Callable[[UseCase], tuple[Any, list[str]]]] = {
    "binary": lambda _use_case: (ZERO_OR_ONE, ["0", "1"]),
    "multiclass": _class_label,
    "regression": lambda _use_case: (Number, ["a finite number"]),
}
"""The type of a label that feedback tells, and in words what is valid, by kind of problem."""


def feedback_schema(use_case: UseCase) -> FeedbackSchema:
    """Compile the check: a label is 0 or 1, one of the classes, or a number, as the use case's
    problem has it.
    """
    label, labels = LABELS[use_case.problem.kind](use_case)
    stem = component_name(use_case)
    fields: dict[str, Any] = {
        "prediction_id": Annotated[str, StringConstraints(pattern=ID_PATTERN)],
        LABEL: NotRequired[Annotated[label, Field(description=use_case.label.description)]],
        REWARD: NotRequired[
            Annotated[Number, Field(description="What the answer was worth, in a unit of yours.")]
        ],
        "known_at": NotRequired[
            Annotated[
                Timestamp,
                Field(
                    description="When it became known, at most a day after the endpoint's clock;"
                    f" now, if it is left out. {TIME_TEXT}."
                ),
            ]
        ],
    }
    row: Any = with_config(ONE_OF_TWO)(strict_object(f"{stem}FeedbackRow", fields))
    rows: Any = Annotated[list[row], Field(min_length=1, max_length=MAX_ROWS)]
    adapter = TypeAdapter[Any](strict_object(f"{stem}Feedback", {"feedback": rows}))
    return FeedbackSchema(use_case, adapter, labels, adapter.validator.validate_python)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
