"""The split in time: two moments cut the snapshot into train, validation and test. Rows of one
moment stay together.

Where the use case names a group (`training.group_by`), its rows stay together too: a group goes
where its newest row goes, so the training rows still all lie before the validation starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from include.errors import DataError
from include.problems.registry import strategy_of
from include.spec import UseCase
from include.tables.store import TIMESTAMP

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TimeSplit:
    """The moments that cut a snapshot, with rows, shares and base rates of the parts by name."""

    boundaries: dict[str, str]
    rows: dict[str, int]
    shares: dict[str, float]
    base_rates: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def split_in_time(use_case: UseCase, frame: pl.DataFrame) -> TimeSplit:
    """`{"boundaries": {"validation_start", "test_start"}, "rows": {split: n}, "shares": {...},
    "base_rates": {...}}`.

    `frame` is sorted by event time. A base rate is the share of positives, of the commonest class,
    or the mean label. Raises `DataError` when a split would be empty or its labels are too few to
    train or test (one class only).
    """
    problem = strategy_of(use_case)
    boundaries = moments(use_case, frame)
    parts = cut(use_case, frame, boundaries)
    rates: dict[str, float] = {}
    for name, part in parts.items():
        labels = problem.labels(part)
        lacking = problem.enough_labels(labels)
        if lacking:
            raise DataError(
                f"{use_case.name}: the {name} split has {lacking}; boundaries {boundaries}. "
                "Use a longer window (training.window_days) or other shares."
            )
        rates[name] = problem.base_rate(labels)
    rows = {name: part.height for name, part in parts.items()}
    shares = {name: count / frame.height for name, count in rows.items()}
    return TimeSplit(boundaries, rows, shares, rates)


def moments(use_case: UseCase, frame: pl.DataFrame) -> dict[str, str]:
    """The two event times at which the declared shares of the rows begin."""
    times, training = frame[use_case.event_time], use_case.training
    first = int(frame.height * training.train_share)
    second = int(frame.height * (training.train_share + training.validation_share))
    return {
        "validation_start": times[first].isoformat(),
        "test_start": times[second].isoformat(),
    }


def cut(
    use_case: UseCase, frame: pl.DataFrame, boundaries: dict[str, str]
) -> dict[str, pl.DataFrame]:
    """The three splits of a frame by the boundaries' event times; a boundary belongs to the later
    split.

    A row whose group is null is a group of its own.
    """
    time, group = pl.col(use_case.event_time), use_case.training.group_by
    if group is not None:
        time = pl.when(pl.col(group).is_null()).then(time).otherwise(time.max().over(group))
    return {
        name: frame.filter(condition)
        for name, condition in split_conditions(time, boundaries).items()
    }


def split_conditions(time: pl.Expr, boundaries: Mapping[str, str]) -> dict[str, pl.Expr]:
    """Which rows a split holds, by the moment that places them."""
    first = pl.lit(datetime.fromisoformat(boundaries["validation_start"]), dtype=TIMESTAMP)
    second = pl.lit(datetime.fromisoformat(boundaries["test_start"]), dtype=TIMESTAMP)
    return {
        "train": time < first,
        "validation": (time >= first) & (time < second),
        "test": time >= second,
    }
