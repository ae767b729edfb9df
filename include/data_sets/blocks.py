"""Which rows share a cause, as a use case declares it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from include.spec import UseCase
from include.tables.store import TIMESTAMP


def row_blocks(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray | None:
    """The block of each row by its event time, int64 of shape (rows,), which rises with time; None
    where the use case declares that rows are independent.
    """
    block = use_case.monitoring.block
    if block is None:
        return None
    moments = frame[use_case.event_time].cast(TIMESTAMP).dt.timestamp("us")
    return moments.to_numpy() // (block // timedelta(microseconds=1))


def blocks_or_rows(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray:
    """The same; each row is a block of its own where rows are independent."""
    blocks = row_blocks(use_case, frame)
    return np.arange(frame.height) if blocks is None else blocks
