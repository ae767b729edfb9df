"""What the limits on deliveries would have to be for a use case's own history: measured interval by
interval as a delivery is, with nothing refused and nothing published.

A limit is proposed where the declared one refuses an interval, or where a number has no bounds at
all; every proposal names the interval and the figure that it comes from.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from include.interval import Interval
from include.quality.column_checks import effects
from include.quality.delivery import Delivery
from include.quality.published import Statistics, describe_table
from include.quality.references import DAY, pooled_references
from include.spec import Column, Table, UseCase

MARGIN = 1.25
"""A proposed limit on a distance: so much above the largest that was seen."""
NULL_MARGIN = 1.5
ROWS_SHARE = 0.5
"""A proposed least number of rows: so much of the smallest interval."""
DIGITS = 2
NUMBERS = ("integer", "number")
SHARES = (
    "max_label_change",
    "max_lost_share",
    "max_new_mass",
    "max_new_share",
    "max_null_change",
)
SHOWN_VALUES = 5


@dataclass(frozen=True)
class Proposal:
    """A limit to write into the specification.

    `where` is the part that declares it, `breaks` counts the intervals that the declared limit
    refuses (0 where none is declared), `figure` says what was measured and when.
    """

    where: str
    field: str
    declared: str
    proposed: str
    figure: str
    breaks: int

    @property
    def holds(self) -> bool:
        """Whether the declared limit is right as it is."""
        return self.proposed == self.declared


@dataclass(frozen=True)
class _Measured:
    value: float
    interval: Interval
    detail: str = ""


class History:
    """Collects the deliveries of a use case, oldest first; `share` of the rows are read."""

    def __init__(self, use_case: UseCase, share: float = 1.0) -> None:
        self._use_case = use_case
        self._share = share
        self._published: dict[str, list[Statistics]] = defaultdict(list)
        self._measured: dict[tuple[str, str, str], list[_Measured]] = defaultdict(list)
        self.intervals = 0

    def add(self, interval: Interval, frames: Mapping[str, pl.DataFrame]) -> None:
        """Measure one delivery: the rows of every table, in the declared types."""
        self.intervals += 1
        for table in self._use_case.tables:
            frame = frames[table.name]
            rows = round(frame.height / (self._share if table.time_column else 1.0))
            self._note(table.name, "", "minimum_rows", rows, interval)
            if frame.height:
                self._measure_columns(table, frame, interval)
                self._measure_change(table, frame, interval)

    def proposals(self) -> list[Proposal]:
        """The limits to change, in the order of the specification."""
        tables = {table.name: table for table in self._use_case.tables}
        changes: list[Proposal] = []
        for (name, column_name, field), measured in self._measured.items():
            columns = {column.name: column for column in tables[name].columns}
            column = columns.get(column_name)
            proposal = self._propose(tables[name], column, field, measured)
            if proposal is not None:
                changes.append(proposal)
        return changes

    def _note(
        self,
        table: str,
        column: str,
        field: str,
        value: float,
        interval: Interval,
        detail: str = "",
    ) -> None:
        self._measured[table, column, field].append(_Measured(float(value), interval, detail))

    def _measure_columns(self, table: Table, frame: pl.DataFrame, interval: Interval) -> None:
        for column in table.columns:
            if column.name not in frame.columns:
                continue
            values = frame[column.name]
            share = values.null_count() / frame.height
            self._note(table.name, column.name, "max_null_share", share, interval)
            present = values.drop_nulls()
            if column.type in NUMBERS and present.dtype.is_numeric() and len(present):
                numbers = present.cast(pl.Float64)
                for field, value in (("minimum", numbers.min()), ("maximum", numbers.max())):
                    self._note(table.name, column.name, field, float(str(value)), interval)
            if column.categories and present.dtype == pl.String and len(present):
                others = present.filter(~present.is_in(list(column.categories)))
                shown = ", ".join(map(repr, others.unique().sort().head(SHOWN_VALUES)))
                self._note(
                    table.name,
                    column.name,
                    "unseen_share",
                    len(others) / len(present),
                    interval,
                    f", values {shown}" if shown else "",
                )

    def _measure_change(self, table: Table, frame: pl.DataFrame, interval: Interval) -> None:
        """How far the delivery is from the nearest of what came before it."""
        statistics, before = describe_table(table, frame, interval), self._published[table.name]
        references = pooled_references(self._use_case, table, before)
        delivery = Delivery(self._use_case, table, frame, interval, references, before, frozenset())
        days = (interval.end - interval.start) / DAY if table.time_column else 1.0
        expected = [
            part.volume * days
            for part in references
            if part.volume * days >= self._use_case.data_checks.minimum_rows
        ]
        if expected:
            factor = min(max(frame.height / rows, rows / frame.height) for rows in expected)
            self._note(table.name, "", "max_volume_change", factor, interval)
        for column in table.columns:
            profile = statistics.profiles.get(column.name)
            if profile is None or table.key == (column.name,):
                continue
            for field, value in effects(delivery, column, profile).items():
                self._note(table.name, column.name, field, value, interval)
        before.append(statistics)

    def _propose(
        self, table: Table, column: Column | None, field: str, measured: list[_Measured]
    ) -> Proposal | None:
        limit, where = self._declared(table, column, field)
        least = field in ("minimum", "minimum_rows")
        worst = (min if least else max)(measured, key=lambda item: item.value)
        if limit is None:
            if column is None or column.name in table.key:
                return None
            breaks = 0
        else:
            breaks = sum(item.value < limit if least else item.value > limit for item in measured)
            if not breaks:
                return None
        proposed = _proposed(field, worst.value)
        if field in ("minimum", "maximum") and column is not None and column.type == "integer":
            proposed = (math.floor if least else math.ceil)(proposed)
        return Proposal(
            where,
            field,
            "none" if limit is None else f"{limit:g}",
            f"{proposed:g}",
            f"{worst.value:.4g}, {'least' if least else 'most'} of {len(measured)}, in the interval"
            f" from {worst.interval.start:%Y-%m-%d %H:%M}{worst.detail}",
            breaks,
        )

    def _declared(
        self, table: Table, column: Column | None, field: str
    ) -> tuple[float | None, str]:
        """The limit in force, and the part of the specification that holds (or should hold) it."""
        where = table.name if column is None else f"{table.name}.{column.name}"
        for part, name in ((column, where), (table, where)):
            if part is not None and field in type(part).model_fields:
                limit = getattr(part, field)
                if limit is None and field.startswith("max_"):
                    return float(getattr(self._use_case.data_checks, field)), name
                return (None if limit is None else float(limit)), name
        return float(getattr(self._use_case.data_checks, field)), f"data_checks ({where})"


def _proposed(field: str, worst: float) -> float:
    if field == "minimum_rows":
        return float(max(1, math.floor(worst * ROWS_SHARE)))
    if field == "minimum":
        return 0.0 if worst >= 0.0 else -rounded_up(-worst * MARGIN)
    if field == "maximum":
        return rounded_up(worst * MARGIN) if worst > 0 else 0.0
    if field in ("max_null_share", "unseen_share"):
        # Of a column that is mostly empty the values that are there are what may be lost.
        return rounded_up(min(worst * NULL_MARGIN, 1.0 - (1.0 - worst) / NULL_MARGIN))
    proposed = rounded_up(worst * MARGIN) if math.isfinite(worst) else math.inf
    return min(1.0, proposed) if field in SHARES else proposed


def rounded_up(value: float) -> float:
    """Rounded up to `DIGITS` significant digits."""
    if value <= 0.0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - DIGITS + 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.6g}")
