"""One table's rows of one interval, with what they are compared with, and failures about it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from include.interval import Interval
from include.quality.published import Statistics
from include.quality.references import Reference
from include.quality.validation import example_row
from include.spec import Table, UseCase
from include.verdict import Finding, broken_rule


@dataclass(frozen=True)
class Delivery:
    """One table's rows of one interval, with what they are compared with;

    `broken` names the columns that already failed.
    """

    use_case: UseCase
    table: Table
    frame: pl.DataFrame
    interval: Interval
    references: list[Reference]
    others: list[Statistics]
    broken: frozenset[str]

    def failure(
        self, column: str, rule: str, expected: str, observed: str, bad: pl.DataFrame | None
    ) -> Finding:
        """A failure of this table; the first of the rows `bad` is its example."""
        return broken_rule(
            self.table.name,
            column,
            rule,
            expected,
            observed,
            None if bad is None or bad.is_empty() else example_row(bad),
        )


def counted(bad: pl.DataFrame, whole: pl.DataFrame) -> str:
    """`3 of 100 rows (3.00%)`."""
    return f"{bad.height} of {whole.height} rows ({bad.height / max(whole.height, 1):.2%})"
