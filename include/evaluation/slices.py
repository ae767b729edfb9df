"""The declared slices of a frame: one mask per value of each slice column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.features.transform import FeatureTransform
from include.spec import Slice, UseCase

MISSING = "(missing)"


@dataclass(frozen=True)
class SlicePart:
    """The rows with `column` == `value`; of a crossing these are `a_x_b` and `<value of a>_x_<value
    of b>`.

    `mask` is boolean of shape (rows,). `judged` is false below the declared minimum of rows.
    """

    column: str
    value: str
    mask: np.ndarray
    rows: int
    minimum_rows: int

    @property
    def judged(self) -> bool:
        """Whether there are enough rows to judge."""
        return self.rows >= self.minimum_rows

    @property
    def key(self) -> str:
        """`slice.<column>.<value>` with MLflow's characters only."""
        return f"slice.{self.column}.{re.sub(r'[^A-Za-z0-9_.-]', '_', self.value)}"

    @property
    def label(self) -> str:
        """`<column>=<value>` for people."""
        return f"{self.column}={self.value}"


def slice_parts(
    use_case: UseCase, transform: FeatureTransform, frame: pl.DataFrame
) -> list[SlicePart]:
    """Every slice of `frame`, in the specification's order and then by value.

    Nulls are the slice `(missing)`.
    """
    parts: list[SlicePart] = []
    for declared in use_case.slices:
        values = column_values(declared.column, transform, frame)
        if declared.crossed_with is not None:
            others = column_values(declared.crossed_with, transform, frame)
            values = np.array(
                [f"{first}_x_{second}" for first, second in zip(values, others, strict=True)]
            )
        parts.extend(_parts(declared, values))
    return parts


def _parts(declared: Slice, values: np.ndarray) -> list[SlicePart]:
    distinct = sorted(set(values.tolist()))
    return [
        SlicePart(declared.name, value, mask, int(mask.sum()), declared.minimum_rows)
        for value, mask in ((value, values == value) for value in distinct)
    ]


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
    """The slice column as strings: a column of the frame, or an input after its transformation (an
    hour, a weekday).
    """
    if column in frame.columns:
        return frame[column].cast(pl.String).fill_null(MISSING).to_numpy().astype(str)
    for position, item in enumerate(transform.inputs):
        if item.name == column:
            if item.kind == "category":
                return (
                    frame[transform.column(item)]
                    .cast(pl.String)
                    .fill_null(MISSING)
                    .to_numpy()
                    .astype(str)
                )
            return np.array(
                [
                    MISSING if np.isnan(value) else f"{value:g}"
                    for value in transform.apply_frame(frame)[:, position]
                ]
            )
    raise DataError(
        f"slice column {column!r} is neither a column {frame.columns} nor an input"
        f" {transform.feature_names}."
    )
