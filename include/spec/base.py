"""What every part of a specification is made of."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic._internal._model_construction import ModelMetaclass

from include.errors import SpecError
from include.spec.messages import calling_frame, readable, suggestion

__all__ = [
    "RECORDED",
    "Part",
    "Share",
    "all_different",
    "folded",
    "in_order",
    "is_recorded",
    "one_of",
    "suggestion",
]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
RECORDED = {"recorded": True}
"""The context in which the specification of an earlier training is read: what it declared was
trained with, whatever is refused of a new one today.
"""


class _Declared(ModelMetaclass):
    """Makes a part that is written in Python fail with a sentence instead of pydantic's text."""

    def __call__(self, *args: Any, **values: Any) -> Any:
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            frame = calling_frame(sys._getframe(1))  # the line to correct
            raise SpecError(readable(error, frame)) from None


class Part(BaseModel, metaclass=_Declared):
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


def is_recorded(info: ValidationInfo) -> bool:
    """Whether the specification of an earlier training is being read."""
    return isinstance(info.context, dict) and bool(info.context.get("recorded"))


def one_of(field: str, value: object, valid: Iterable[object]) -> None:
    """Raise `ValueError` with field, value, what is valid and what was probably meant, unless
    `value` is among `valid`.
    """
    choices = list(valid)
    if value not in choices:
        raise ValueError(f"{field} is {value!r}{suggestion(value, choices)}")


def folded(name: str) -> str:
    """The name as a file system may take it for another's: neither case nor the way in which a
    letter is composed tells two files apart everywhere.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def all_different(field: str, names: Iterable[str]) -> None:
    """Raise `ValueError` where a name is there twice, or two differ only in case or in the way
    their letters are composed: file systems and the engines that read tables take such names for
    one.
    """
    counted = Counter(names)
    twice = sorted(name for name, count in counted.items() if count > 1)
    if twice:
        raise ValueError(f"{field} declares {twice} twice; a name is declared once")
    first: dict[str, str] = {}
    for name in counted:
        other = first.setdefault(folded(name), name)
        if other != name:
            how = "in upper and lower case"
            if other.casefold() != name.casefold():
                how = "in how their letters are written"
            raise ValueError(
                f"{field} declares {other!r} and {name!r}, which differ only {how}; call one of"
                " them otherwise"
            )


def in_order(field: str, low: float | None, high: float | None) -> None:
    """Raise `ValueError` where a declared minimum lies above the maximum."""
    if low is not None and high is not None and low > high:
        raise ValueError(
            f"{field}: minimum is {low:g}, above the maximum {high:g}; no value lies between"
        )
