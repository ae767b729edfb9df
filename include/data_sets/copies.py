"""Rows of the test part that lie in the training part too, under other ids: a model that learned
their answers by heart would be measured on them.

Rows are compared by what they say and not by what they are called, in two ways: by the model's
inputs and the label, and by the question's own columns (keys, request fields) and all labels, which
finds a row that was given another date and so other features. Ids and moments are left out of both.

Equal rows happen by chance, the more the fewer values there are. What the test part holds twice is
common, and counts as no copy; of the rest the training part itself tells how much is chance: the
share of as many rows of one half of it that equal a row of the other, of its older and newer half
and of every other row, whichever is most. A whole has twice the rows to be equal to; what the
second half can add is bounded by what half of a half adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import polars as pl

from include.data_sets.split import cut, moments
from include.features.transform import FeatureTransform
from include.quality.validation import example_row
from include.spec import UseCase
from include.verdict import Finding, broken_rule

RULE = "test rows in training"
# Above it nearly every honest row has an equal one, and a copy cannot be told from it.
LARGEST_CHANCE = 0.9
# Standard errors of both shares that are left to chance beside the limit.
ERRORS = 4.0
CONTENT = "__content"


@dataclass(frozen=True)
class Copies:
    """The share of the test rows that equal a training row and no other test row, the share to
    expect by chance, and the standard error of their difference.
    """

    share: float
    chance: float
    error: float

    @property
    def excess(self) -> float:
        """The share of the test rows that were copied, at least: what chance explains, and what it
        might, taken off.
        """
        surplus = self.share - self.chance - ERRORS * self.error
        return max(0.0, surplus / (1.0 - self.chance))


def copied_test_rows(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """Not more than `max_copied_share` of the test rows lie in the training part too, beyond what
    chance explains.

    Judged from `minimum_leak_rows` test rows on.
    """
    checks, times = use_case.data_checks, frame[use_case.event_time]
    if frame.height < checks.minimum_leak_rows or times.null_count():
        return []
    boundaries = moments(use_case, frame)
    for name, content in contents(use_case, frame):
        parts = cut(use_case, frame.with_columns(content.alias(CONTENT)), boundaries)
        train, test = parts["train"], parts["test"]
        copies = count_copies(train[CONTENT], test[CONTENT], checks.minimum_leak_rows)
        if copies is not None and copies.excess > checks.max_copied_share:
            return [_refused(use_case, table, name, copies, (train, test))]
    return []


def contents(use_case: UseCase, frame: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """What every row says as a digest of 64 bits, with the name of what was compared."""
    data = use_case.training_data
    matrix = FeatureTransform.fit(use_case, frame).apply_frame(frame)
    inputs = pl.DataFrame(matrix, schema=[item.name for item in use_case.inputs]).fill_nan(None)
    label = frame[use_case.label.column].alias(CONTENT)
    yield "inputs and label", inputs.with_columns(label).hash_rows()
    left_out = (data.id_column, data.label_time)
    names = [name for name in (*data.question_columns, *data.label_columns) if name not in left_out]
    words = frame.select(names).select(~pl.selectors.temporal())
    yield "question and labels", words.hash_rows()


def count_copies(train: pl.Series, test: pl.Series, least: int) -> Copies | None:
    """How many of the test rows are training rows; `None` where too few rows, or too few different
    ones, are there to tell.
    """
    half = len(train) // 2
    if len(test) < least or half < least:
        return None
    halves = ((train[:half], train[half:]), (train[0::2], train[1::2]))
    chance = max(
        _of_the_whole(_as_many(rows, len(test)), others)
        for one, other in halves
        for rows, others in ((one, other), (other, one))
    )
    if chance > LARGEST_CHANCE:
        return None
    # A share of no row at all is known to one row; what is extrapolated, half as well.
    drawn = min(len(test), half)
    spread = max(chance, 1.0 / drawn) * (1.0 - chance)
    return Copies(_share(test, train), chance, sqrt(spread / len(test) + 4.0 * spread / drawn))


def _share(rows: pl.Series, others: pl.Series) -> float:
    """The share of `rows` that equal one of `others` and no other of themselves."""
    equal = rows.is_in(others.unique().implode()) & rows.is_unique()
    return float(equal.sum()) / len(rows)


def _as_many(rows: pl.Series, count: int) -> pl.Series:
    """`count` of the rows, evenly spread, or all: of fewer rows fewer are equal to each other."""
    return rows if len(rows) <= count else rows.gather_every(len(rows) // count).head(count)


def _of_the_whole(rows: pl.Series, others: pl.Series) -> float:
    """The largest share of `rows` that would equal one of twice as many as `others`.

    Each further row adds less than the one before it, so the second half adds at most twice what
    the second quarter did, and at most what independent draws would.
    """
    half, quarter = _share(rows, others), _share(rows, others[0::2])
    return min(1.0 - (1.0 - half) ** 2, half + 2.0 * (half - quarter))


def _refused(
    use_case: UseCase, table: str, name: str, copies: Copies, parts: tuple[pl.DataFrame, ...]
) -> Finding:
    train, test = parts
    limit, key = use_case.data_checks.max_copied_share, use_case.id_column
    twin = train.select(CONTENT, pl.col(key).alias(f"{key} in training")).unique(CONTENT)
    pair = test.join(twin, on=CONTENT, how="inner", maintain_order="left").drop(CONTENT)
    example: dict[str, Any] = example_row(pair)
    return broken_rule(
        table,
        "",
        RULE,
        f"at most {limit:.2%} of the test rows copied into training",
        f"{copies.share:.2%} of the {test.height} test rows equal one of the {train.height}"
        f" training rows in {name}, and {copies.chance:.2%} would by chance: {copies.excess:.2%} or"
        " more are copies",
        example,
    )
