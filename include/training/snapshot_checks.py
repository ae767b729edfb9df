"""What a training set must be before a model learns from it: the rules that the source tables' validation cannot know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl

from include.spec import UseCase
from include.training.snapshot import snapshot_columns

Failure = dict[str, Any]
Check = Callable[[UseCase, pl.DataFrame], list[Failure]]


def check_snapshot(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Failure]:
    """All broken rules as `{"table", "column", "rule", "expected", "observed", "example"}`; empty when the set may be trained on."""
    missing = [name for name in snapshot_columns(use_case) if name not in frame.columns]
    if missing:
        return [_failure(table, ", ".join(missing), "columns_present", snapshot_columns(use_case), frame.columns)]
    return [{**failure, "table": table} for check in CHECKS for failure in check(use_case, frame)]


def enough_rows(use_case: UseCase, frame: pl.DataFrame) -> list[Failure]:
    """At least `training.minimum_rows` rows."""
    minimum = use_case.training.minimum_rows
    return [] if frame.height >= minimum else [_failure("", "*", "minimum_rows", f"at least {minimum} rows", frame.height)]


def binary_label(use_case: UseCase, frame: pl.DataFrame) -> list[Failure]:
    """The label is 0 or 1, never null, and both occur."""
    column = use_case.label.column
    found = frame[column].unique().sort().to_list()
    return [] if found == [0, 1] else [_failure("", column, "both_classes", [0, 1], found[:10])]


def unique_ids(use_case: UseCase, frame: pl.DataFrame) -> list[Failure]:
    """No target occurs twice."""
    column = use_case.id_column
    repeated = frame.filter(pl.col(column).is_duplicated() | pl.col(column).is_null())
    return [_failure("", column, "unique", "no repeated or missing id", repeated.height, repeated)] if repeated.height else []


def label_after_question(use_case: UseCase, frame: pl.DataFrame) -> list[Failure]:
    """Every label became known after its question was asked."""
    column, event_time = use_case.label.time_column, use_case.event_time
    early = frame.filter((pl.col(column) <= pl.col(event_time)).fill_null(value=True))
    return [_failure("", column, "label_after_event", f"{column} after {event_time}", early.height, early)] if early.height else []


def features_present(use_case: UseCase, frame: pl.DataFrame) -> list[Failure]:
    """No feature is null in every row."""
    features = [reference.replace(":", "__") for reference in use_case.feature_references]
    empty = [name for name in features if frame[name].null_count() == frame.height]
    return [_failure("", name, "not_all_null", "a value in at least one row", "null in every row") for name in empty]


def in_time_order(use_case: UseCase, frame: pl.DataFrame) -> list[Failure]:
    """Event times are present and ascending, as the split in time relies on."""
    times = frame[use_case.event_time]
    good = times.null_count() == 0 and times.is_sorted()
    return [] if good else [_failure("", use_case.event_time, "time_order", "ascending, none missing", "not in order")]


CHECKS: tuple[Check, ...] = (enough_rows, binary_label, unique_ids, label_after_question, features_present, in_time_order)


def describe(failures: list[Failure]) -> list[str]:
    """One sentence per failure."""
    return [
        f"{item['table']}.{item['column']}: {item['rule']}, expected {item['expected']}, observed {item['observed']}" for item in failures
    ]


def _failure(table: str, column: str, rule: str, expected: Any, observed: Any, rows: pl.DataFrame | None = None) -> Failure:
    example = None if rows is None or rows.height == 0 else _plain(rows.row(0, named=True))
    return {"table": table, "column": column, "rule": rule, "expected": expected, "observed": observed, "example": example}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
