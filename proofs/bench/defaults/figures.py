"""One line of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A share that is at most the aim; `aim` is None where nothing is aimed at."""

    name: str
    value: float
    aim: float | None
    detail: str

    @property
    def reached(self) -> bool | None:
        """Whether the value is as aimed at."""
        return None if self.aim is None else self.value <= self.aim

    def as_json(self) -> dict[str, Any]:
        """`{"name", "value", "aim", "reached", "detail"}`."""
        fields = asdict(self)
        first = {name: fields[name] for name in ("name", "value", "aim")}
        return {**first, "reached": self.reached, "detail": self.detail}


class Caught(Figure):
    """A share that is at least the aim."""

    @property
    def reached(self) -> bool | None:
        """Whether the value is as aimed at."""
        return None if self.aim is None else self.value >= self.aim
