"""The declared slices of a frame: one mask per value of each slice column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.registry.metric_names import SliceIdentity
from include.spec import Slice, UseCase

MISSING = "(missing)"
"""How a missing value is shown, and how a declared group names it."""
CROSSED = "_x_"


@dataclass(frozen=True)
class SlicePart:
    """The rows in which each of `columns` (one, of a crossing two) has its value of `values`; None
    is a missing value.

    Columns and values are the slice's identity; `column` and `value` are what people read. `mask`
    is boolean of shape (rows,). `judged` is false below the declared minimum of rows.
    """

    columns: tuple[str, ...]
    values: tuple[str | None, ...]
    mask: np.ndarray
    rows: int
    minimum_rows: int

    @property
    def identity(self) -> SliceIdentity:
        """What tells it from every other slice."""
        return self.columns, self.values

    @property
    def column(self) -> str:
        """`<column>`, of a crossing `<column>_x_<column>`."""
        return CROSSED.join(self.columns)

    @property
    def value(self) -> str:
        """Its value as `shown`, of a crossing `<value>_x_<value>`."""
        return CROSSED.join(map(shown, self.values))

    @property
    def judged(self) -> bool:
        """Whether there are enough rows to judge."""
        return self.rows >= self.minimum_rows

    @property
    def label(self) -> str:
        """`<column>=<value>` for people."""
        return f"{self.column}={self.value}"


def slice_parts(
    use_case: UseCase, transform: FeatureTransform, frame: pl.DataFrame
) -> list[SlicePart]:
    """Every slice of `frame`, in the specification's order and then by value, the missing first."""
    return [
        part
        for declared in use_case.slices
        for part in _parts(
            declared, [column_values(name, transform, frame) for name in declared.columns]
        )
    ]


def shown(value: str | None) -> str:
    """A value as people read it: two values never look the same, and nothing is invisible.

    Null is `(missing)`; in quotation marks stands what could be taken for something else.
    """
    if value is None:
        return MISSING
    plain = value.strip() == value != "" and value.isprintable()
    if plain and value != MISSING and value[0] != '"' and CROSSED not in value:
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _parts(declared: Slice, columns: list[np.ndarray]) -> list[SlicePart]:
    rows_of: dict[tuple[str | None, ...], list[int]] = {}
    for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        rows_of.setdefault(values, []).append(row)
    ordered = sorted(
        rows_of, key=lambda values: [(value is not None, value or "") for value in values]
    )
    return [
        SlicePart(
            declared.columns,
            values,
            _mask(rows_of[values], len(columns[0])),
            len(rows_of[values]),
            declared.minimum_rows,
        )
        for values in ordered
    ]


def _mask(rows: list[int], count: int) -> np.ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[rows] = True
    return mask


def reference_segments(
    transform: FeatureTransform, reference: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Of every category input, the share of each value in the training data that `reference` (a
    package's reference.json) describes.
    """
    entries = {
        item.name: reference["inputs"][item.name]
        for item in transform.inputs
        if item.kind == "category"
    }
    return {
        name: dict(
            zip(entry["categories"], entry["shares"][: len(entry["categories"])], strict=True)
        )
        for name, entry in entries.items()
    }


def column_values(column: str, transform: FeatureTransform, frame: pl.DataFrame) -> np.ndarray:
    """The slice column as an object array of strings and None, shape (rows,): a column of the
    frame, or an input after its transformation (an hour, a weekday).
    """
    if column in frame.columns:
        return _texts(frame[column])
    for position, item in enumerate(transform.inputs):
        if item.name == column:
            if item.kind == "category":
                return _texts(frame[transform.column(item)])
            return _objects([_number(value) for value in transform.apply_frame(frame)[:, position]])
    raise DataError(
        f"slice column {column!r} is neither a column {frame.columns} nor an input"
        f" {transform.feature_names}."
    )


def _texts(values: pl.Series) -> np.ndarray:
    return _objects(values.cast(pl.String).to_list())


def _number(value: np.float32) -> str | None:
    """The shortest text that gives the number back; of a whole one without a point."""
    if np.isnan(value):
        return None
    return str(int(value)) if value == np.floor(value) else str(value)


def _objects(values: list[str | None]) -> np.ndarray:
    """An object array: NumPy's own strings lose what ends with a null byte."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
