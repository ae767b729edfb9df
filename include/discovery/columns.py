"""What may be shown of a column, and who uses it.

A column's values stay hidden where they may be about a person or are not to be passed on: then the
page has no value, no bound, no mean and no quantile of it, only its share of missing ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.spec import Column, Table, UseCase

CLOSED = ("confidential", "personal")
SENSITIVITIES = ("public", "internal", "confidential", "personal")
"""From what everybody may see to what is about persons."""


@dataclass(frozen=True)
class Shape:
    """A column in one interval: `rows`, `nulls` among them, and where it is a number `mean` and the
    5 % and 95 % quantiles, where it is a text the share of the commonest value of all intervals.
    """

    start: datetime
    end: datetime
    rows: int
    nulls: int
    middle: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def missing(self) -> float | None:
        """The share of rows without a value; None for no rows."""
        return self.nulls / self.rows if self.rows else None


@dataclass(frozen=True)
class Picture:
    """A column's distribution: `bars` are (label, share of the rows with a value) and stand for
    all rows of `about`, quantiles for a feature's newest interval.
    """

    kind: str
    about: str = ""
    bars: tuple[tuple[str, float], ...] = ()
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class ColumnFacts:
    """One column or feature. `hidden` says why its values are not shown; empty where they are.

    `change` says when it changed most from one interval to the next.
    """

    name: str
    type: str
    description: str
    used_by: tuple[str, ...]
    hidden: str = ""
    shapes: tuple[Shape, ...] = ()
    picture: Picture | None = None
    change: str = ""

    @property
    def missing(self) -> float | None:
        """The share of missing values over all intervals; None where there are no rows."""
        rows = sum(shape.rows for shape in self.shapes)
        return sum(shape.nulls for shape in self.shapes) / rows if rows else None


def readers(cases: Iterable[UseCase], table: str) -> list[UseCase]:
    """The use cases that ingest or read a table."""
    return [case for case in cases if any(part.name == table for part in case.tables)]


def sensitivity_of(cases: Iterable[UseCase]) -> str:
    """The strictest that one of them declares of its data set; `internal` for none."""
    declared = [case.training_data.sensitivity for case in cases]
    return max(declared, key=SENSITIVITIES.index, default="internal")


def hidden_because(cases: Sequence[UseCase], table: Table, column: Column) -> str:
    """Why a column's values are not shown; empty where they may be."""
    ids = {case.training_data.id_column for case in cases}
    identifies = table.key == (column.name,) or column.name in ids
    return hidden_feature(cases, column.name) or ("it identifies a row" if identifies else "")


def hidden_feature(cases: Sequence[UseCase], name: str) -> str:
    """Why the values of a feature of this name are not shown; empty where they may be."""
    sensitivity = sensitivity_of(cases)
    if sensitivity in CLOSED:
        return f"the data is {sensitivity}"
    for case in cases:
        # Under the same name the same thing is meant, in whichever table of the use case.
        marks = {part.name: part.privacy for part in case.table(case.entity_table).columns}
        mark = marks.get(name, "clear")
        if mark != "clear":
            return f"{case.name} marks it {mark}"
    return ""


def uses_of_column(cases: Iterable[UseCase], table: str, column: str) -> tuple[str, ...]:
    """What the use cases do with a column of a source table, beside computing features from it."""
    uses: list[str] = []
    for case in cases:
        data, roles = case.training_data, list[str]()
        if table == data.entity_table:
            roles += [f"input {item.name}" for item in case.inputs if item.source == column]
            roles += ["id"] if column == data.id_column else []
            roles += ["time of the question"] if column == data.event_time else []
            roles += ["entity key"] if column in case.serving.entity_keys else []
            roles += ["slice"] if any(part.column == column for part in case.slices) else []
        if table == data.label_table:
            roles += ["label"] if column == case.label.column else []
            roles += ["time of the label"] if column == data.label_time else []
        uses += [f"{case.name}: {', '.join(dict.fromkeys(roles))}"] if roles else []
    return tuple(uses)


def uses_of_feature(cases: Iterable[UseCase], view: str, feature: str) -> tuple[str, ...]:
    """The inputs of models that a feature is."""
    return tuple(
        f"{case.name}: input {item.name}"
        for case in cases
        for item in case.inputs
        if item.source == f"{view}:{feature}"
    )
