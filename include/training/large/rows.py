"""What a final fit sees of its splits: all of it in memory, or a part after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import polars as pl

from include.data_sets.blocks import blocks_or_rows
from include.data_sets.stored_splits import StoredSplits
from include.features.transform import FeatureTransform
from include.model.fitted import Fitted
from include.problems.registry import strategy_of
from include.spec import UseCase
from include.training.trainer import Rows


class SplitRows(Protocol):
    """The splits' rows as a fit and its package need them."""

    @property
    def transform(self) -> FeatureTransform:
        """Fitted on the train split."""

    def labels(self, split: str) -> np.ndarray:
        """As `labels` of the problem gives them, shape (rows,)."""

    def blocks(self, split: str) -> np.ndarray:
        """Which of the split's rows share a cause, in the order of `labels`."""

    def scores(self, fitted: Fitted, split: str) -> np.ndarray:
        """Scores of the split's rows, in the order of `labels`."""

    def train_column(self, position: int) -> np.ndarray:
        """One column of the train split's matrix, float32 of shape (rows,)."""

    def rows_at(self, split: str, places: list[int]) -> pl.DataFrame:
        """The split's rows at these ascending places."""


class MemoryRows:
    """Splits as frames: every split's matrix is in memory at once."""

    def __init__(self, use_case: UseCase, splits: Mapping[str, pl.DataFrame]) -> None:
        self._use_case, self._splits = use_case, splits
        self.transform = FeatureTransform.fit(use_case, splits["train"])
        labels = strategy_of(use_case).labels
        self.rows = {
            name: Rows(self.transform.apply_frame(frame), labels(frame))
            for name, frame in splits.items()
        }

    def labels(self, split: str) -> np.ndarray:
        """The split's labels."""
        return self.rows[split].labels

    def blocks(self, split: str) -> np.ndarray:
        """The split's blocks."""
        return blocks_or_rows(self._use_case, self._splits[split])

    def scores(self, fitted: Fitted, split: str) -> np.ndarray:
        """The split's scores."""
        return fitted.predict(self.rows[split].matrix)

    def train_column(self, position: int) -> np.ndarray:
        """A view of the matrix."""
        return self.rows["train"].matrix[:, position]

    def rows_at(self, split: str, places: list[int]) -> pl.DataFrame:
        """Of the frame."""
        return self._splits[split][places]


class BatchedRows:
    """Splits that stay where they are stored: one part of one split is in memory at a time."""

    def __init__(self, use_case: UseCase, splits: StoredSplits) -> None:
        self.use_case, self.splits = use_case, splits
        read = [item.source.replace(":", "__") for item in use_case.inputs]
        columns = list(dict.fromkeys([*read, use_case.event_time]))
        self.transform = FeatureTransform.fit_batches(use_case, splits.batches("train", columns))

    def batches(self, split: str) -> Iterator[Rows]:
        """The split's parts, transformed."""
        return (self.transformed(part) for part in self.splits.batches(split))

    def transformed(self, part: pl.DataFrame) -> Rows:
        """Matrix and labels of some rows."""
        return Rows(self.transform.apply_frame(part), strategy_of(self.use_case).labels(part))

    def labels(self, split: str) -> np.ndarray:
        """The split's labels, read anew."""
        column = [self.use_case.label.column]
        problem = strategy_of(self.use_case)
        return np.concatenate([problem.labels(part) for part in self.splits.batches(split, column)])

    def blocks(self, split: str) -> np.ndarray:
        """Of the event times alone."""
        parts = list(self.splits.batches(split, [self.use_case.event_time]))
        return blocks_or_rows(self.use_case, pl.concat(parts))

    def scores(self, fitted: Fitted, split: str) -> np.ndarray:
        """Part by part."""
        return np.concatenate([fitted.predict(rows.matrix) for rows in self.batches(split)])

    def train_column(self, position: int) -> np.ndarray:
        """Read with no other column than what the input is made of."""
        transform = self.transform.only(position)
        parts = self.splits.batches("train", transform.columns)
        return np.concatenate([transform.apply_frame(part)[:, 0] for part in parts])

    def rows_at(self, split: str, places: list[int]) -> pl.DataFrame:
        """Of the parts that hold them."""
        return self.splits.rows_at(split, places)
