"""What every part of a specification is made of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """Base of every part of a specification: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_field(cls, values: Any) -> Any:
        """Pydantic would say that an extra field is forbidden, but not which one was meant."""
        if isinstance(values, dict):
            for name in values:
                if name not in cls.model_fields:
                    raise ValueError(
                        f"{cls.__name__} has no field {name!r}{suggestion(name, cls.model_fields)}"
                    )
        return values


def one_of(field: str, value: object, valid: Iterable[object]) -> None:
    """Raise `ValueError` with field, value, what is valid and what was probably meant, unless
    `value` is among `valid`.
    """
    choices = list(valid)
    if value not in choices:
        raise ValueError(f"{field} is {value!r}{suggestion(value, choices)}")


def suggestion(value: object, valid: Iterable[object]) -> str:
    """The end of an error's sentence: what was probably meant, and what is valid."""
    choices = sorted(map(str, valid))
    near = difflib.get_close_matches(str(value), choices, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{meant} valid: {choices}"
