"""The transform for a few rows of plain Python values: the same matrix as `FeatureTransform.apply`,
without a column object per input.

A Polars column costs about 40 microseconds to make, however short it is; twenty of them are most of
an answer. Here a row is a loop over its values. Whatever is not plain (a number of another type, an
infinite one, a time in another zone, a date beyond the tables of time zones) goes to
`FeatureTransform.apply`, which knows all kinds and says what is wrong: the two can only agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from include.features.transform import HOUR_US, FeatureTransform, source_column

ROW_LIMIT = 256
"""Columns win from about 500 rows on, and hold no lock of the interpreter meanwhile (7, 55, 780 and
1,550 against 450, 465, 1,040 and 1,630 microseconds for 1, 16, 256 and 512 rows).
"""

FIRST_YEAR, LAST_YEAR = 1970, 2036
LARGEST_INTEGER = 2**53
MISSING = float("nan")
LOCAL: Mapping[str, Callable[[datetime], int]] = {
    "local_hour": attrgetter("hour"),
    "local_weekday": datetime.weekday,
    "local_month": attrgetter("month"),
}
"""What an input of each kind reads of a local time."""


class RowTransform:
    """A `FeatureTransform` compiled for rows; immutable and safe to share between threads."""

    def __init__(self, transform: FeatureTransform) -> None:
        self.transform = transform
        self._empty = [MISSING] * len(transform.inputs)
        self._event_time = transform.event_time
        numbers: list[tuple[int, str]] = []
        ahead: list[tuple[int, str]] = []
        categories: list[tuple[int, str, dict[str, float], str]] = []
        clocks: list[tuple[int, str, ZoneInfo, Callable[[datetime], int]]] = []
        for position, item in enumerate(transform.inputs):
            column = source_column(item)
            if item.kind == "number":
                numbers.append((position, column))
            elif item.kind == "category":
                codes = {
                    value: float(code) for code, value in enumerate(transform.categories[item.name])
                }
                categories.append((position, column, codes, f"unseen:{item.name}"))
            elif item.kind == "hours_between":
                ahead.append((position, column))
            else:
                clocks.append((position, column, ZoneInfo(item.timezone), LOCAL[item.kind]))
        self._numbers, self._ahead, self._categories, self._clocks = (
            tuple(numbers),
            tuple(ahead),
            tuple(categories),
            tuple(clocks),
        )

    def matrix(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """float32 of shape (rows, inputs), as `apply` makes it; each row maps every column of
        `FeatureTransform.columns` to its value.

        Raises `DataError` where `apply` does.
        """
        if len(rows) > ROW_LIMIT:
            return self._by_columns(rows)
        values: list[list[float]] = []
        for row in rows:
            made = self._values(row)
            if made is None:
                return self._by_columns(rows)
            values.append(made)
        with np.errstate(over="ignore"):
            matrix = np.array(values, dtype=np.float32).reshape(len(rows), len(self._empty))
        return self._by_columns(rows) if np.isinf(matrix).any() else matrix

    def unseen(self, row: Mapping[str, Any]) -> list[str]:
        """`unseen:<input>` for every category of the row that was not there at training."""
        return [
            flag
            for _, column, codes, flag in self._categories
            if (value := row[column]) is not None and value not in codes
        ]

    def _by_columns(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self.transform.apply(
            {name: [row[name] for row in rows] for name in self.transform.columns}
        )

    def _values(self, row: Mapping[str, Any]) -> list[float] | None:
        """The row of the matrix; None where it is not plain."""
        values = self._empty.copy()
        for position, name in self._numbers:
            value = row[name]
            kind = type(value)
            if kind is float or (kind is int and -LARGEST_INTEGER <= value <= LARGEST_INTEGER):
                values[position] = value
            elif kind is bool:
                values[position] = float(value)
            elif value is not None:
                return None
        for position, name, codes, _ in self._categories:
            value = row[name]
            if type(value) is str:
                values[position] = codes.get(value, MISSING)
            elif value is not None:
                return None
        return values if self._read_clocks(row, values) and self._count_hours(row, values) else None

    def _read_clocks(self, row: Mapping[str, Any], values: list[float]) -> bool:
        """Whether all times were plain."""
        for position, name, zone, read in self._clocks:
            moment = row[name]
            if moment is None:
                continue
            if not _is_plain(moment):
                return False
            values[position] = read(moment.astimezone(zone))
        return True

    def _count_hours(self, row: Mapping[str, Any], values: list[float]) -> bool:
        """The same for the inputs that count from the event time."""
        for position, name in self._ahead:
            moment, event_time = row[name], row[self._event_time]
            if moment is None or event_time is None:
                continue
            if not (_is_plain(moment) and _is_plain(event_time)):
                return False
            between = moment - event_time
            values[position] = (
                (between.days * 86_400 + between.seconds) * 1_000_000 + between.microseconds
            ) / HOUR_US
        return True


def _is_plain(moment: Any) -> bool:
    return (
        type(moment) is datetime and moment.tzinfo is UTC and FIRST_YEAR <= moment.year <= LAST_YEAR
    )
