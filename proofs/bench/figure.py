"""A line of a bench that states how often something is wrong, or how soon it is right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the table: at most the aim is reached; `aim` is None where nothing is aimed
    at.
    """

    name: str
    value: float
    aim: float | None
    detail: str

    @property
    def reached(self) -> bool | None:
        """Whether the value is at most the aim."""
        return None if self.aim is None else self.value <= self.aim

    def as_json(self) -> dict[str, Any]:
        """`{"name", "value", "aim", "reached", "detail"}`."""
        fields = asdict(self)
        first = {name: fields[name] for name in ("name", "value", "aim")}
        return {**first, "reached": self.reached, "detail": self.detail}


class Caught(Figure):
    """One that is reached by at least the aim, such as the share of faults that are caught."""

    @property
    def reached(self) -> bool | None:
        """Whether the value is at least the aim."""
        return None if self.aim is None else self.value >= self.aim
