"""How often decisions are reviewed and overturned, by version and by segment: what monitoring and
the next training learn from reviewers.

A decision that was reviewed twice counts once, as its newest review says. Reviews are no random
sample of the answers, since people contest what hurts them: a share of overturned decisions is one
of the reviewed and says nothing about the others (`flightdeck decisions sample` draws at random).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from include.decisions.reviews import Review, standing
from include.inference_log.log import log_table, was_answered
from include.settings import Settings
from include.spec import Slice, UseCase
from include.tables.store import TableStore

VERSION = "model_version"
REMOVED = "not in the log any more"


@dataclass(frozen=True)
class ReviewRate:
    """`segment` is `version` or the slice's column(s), `value` which one. `answered` rows are in
    the log now (None where the log does not have the column), of which `reviewed` decisions have a
    review, `overturned` of them an overturning one.
    """

    segment: str
    value: str
    answered: int | None
    reviewed: int
    overturned: int

    @property
    def overturned_share(self) -> float:
        """Of the reviewed ones, 0 to 1."""
        return self.overturned / self.reviewed if self.reviewed else 0.0


def review_rates(
    settings: Settings, use_case: UseCase, written: Sequence[Review]
) -> list[ReviewRate]:
    """The rates of each version and of each part of each slice that has a review."""
    newest = standing(written)
    if not newest:
        return []
    frame = pl.DataFrame(
        {
            "prediction_id": [review.prediction_id for review in newest],
            VERSION: [review.version for review in newest],
            "overturned": [review.outcome == "overturned" for review in newest],
        },
        schema={"prediction_id": pl.String, VERSION: pl.Int64, "overturned": pl.Boolean},
    )
    answers = _answers(settings, use_case)
    rates = _rates("version", [VERSION], frame, answers)
    if answers is None:
        return rates
    there = set(answers.collect_schema().names())
    for part in use_case.slices:
        columns = _columns(use_case, part)
        if set(columns) <= there:
            ids = frame["prediction_id"].to_list()
            logged = answers.filter(pl.col("prediction_id").is_in(ids))
            values = logged.select("prediction_id", *columns).collect()
            joined = frame.join(values, on="prediction_id", how="left")
            name = " x ".join([part.column, *filter(None, [part.crossed_with])])
            rates += _rates(name, columns, joined, answers)
    return rates


def _rates(
    segment: str, columns: list[str], frame: pl.DataFrame, answers: pl.LazyFrame | None
) -> list[ReviewRate]:
    counted: dict[Any, int] = {}
    if answers is not None:
        counts = answers.group_by(columns).agg(pl.len().alias("rows")).collect()
        counted = {tuple(row[:-1]): int(row[-1]) for row in counts.iter_rows()}
    groups = frame.group_by(columns).agg(pl.len().alias("rows"), pl.col("overturned").sum())
    rows = sorted(groups.iter_rows(), key=lambda row: tuple(map(str, row)))
    return [
        ReviewRate(
            segment=segment,
            value=_value(row[:-2]),
            answered=counted.get(tuple(row[:-2])) if any(row[:-2]) else None,
            reviewed=int(row[-2]),
            overturned=int(row[-1]),
        )
        for row in rows
    ]


def _value(values: tuple[Any, ...]) -> str:
    return REMOVED if all(value is None for value in values) else " x ".join(map(str, values))


def _columns(use_case: UseCase, part: Slice) -> list[str]:
    """The log's columns of a slice: of an input that of its source."""
    sources = {item.name: item.source.replace(":", "__") for item in use_case.inputs}
    names = [part.column, *filter(None, [part.crossed_with])]
    return [name if name in use_case.request_columns else sources[name] for name in names]


def _answers(settings: Settings, use_case: UseCase) -> pl.LazyFrame | None:
    tables, name = TableStore(settings.tables_uri), log_table(use_case.name)
    if not tables.exists(name):
        return None
    stored = tables.scan(name)
    return stored.filter(was_answered(stored.collect_schema().names()))
