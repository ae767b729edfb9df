"""Whether each declared group is there in the rows that train: by its rows, by its share, by its
positives, and against its share of all questions, with a label or without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from include.data_sets.snapshot import Snapshot, questions
from include.data_sets.split import cut, moments
from include.interval import Interval
from include.settings import Settings
from include.spec import Representation, UseCase
from include.tables.store import TableStore
from include.verdict import Finding, broken_rule

REPRESENTATION = "representation"
AGAINST_WHOLE = "representation against the whole"
MISSING = "(missing)"
"""How a group names the missing value."""
MOST_NAMED = 5


@dataclass(frozen=True)
class GroupCounts:
    """Rows, and rows with a positive label, of each declared group (zero where none is there), and
    the rows of values that belong to no group.
    """

    rows: Mapping[str, int]
    positives: Mapping[str, int]
    others: Mapping[str, int]
    all_rows: int
    all_positives: int

    def share(self, group: str) -> float:
        """Its part of all rows, 0 to 1."""
        return self.rows[group] / self.all_rows if self.all_rows else 0.0

    @property
    def text(self) -> str:
        """`east 120 of 400 rows (30.00%), ...`, for a note."""
        return ", ".join(f"{name} {_of(count, self.all_rows)}" for name, count in self.rows.items())


def groups_of(use_case: UseCase, declared: Representation) -> dict[str, tuple[str, ...]]:
    """The groups by name with their values: the declared ones, or each category of the column."""
    if declared.groups:
        return declared.groups
    table = use_case.table(use_case.entity_table)
    column = next(column for column in table.columns if column.name == declared.column)
    return {value: (value,) for value in column.categories}


def rows_that_train(use_case: UseCase, frame: pl.DataFrame) -> pl.DataFrame:
    """The oldest part of a training set, as the split in time cuts it; none where it cannot be cut,
    which is a rule of its own.
    """
    times = frame[use_case.event_time]
    if frame.height == 0 or times.null_count() or not times.is_sorted():
        return frame.clear()
    return cut(use_case, frame, moments(use_case, frame))["train"]


def counted(use_case: UseCase, declared: Representation, rows: pl.DataFrame) -> GroupCounts:
    """The groups of `rows`; positives are counted of a binary problem whose label is there."""
    label = use_case.label.column
    binary = use_case.problem.kind == "binary" and label in rows.columns
    positive = (pl.col(label) == 1).sum() if binary else pl.lit(0)
    by_value = (
        rows.group_by(_value(declared.column)).agg(rows=pl.len(), positives=positive).to_dicts()
    )
    names = groups_of(use_case, declared)
    group_of = {value: name for name, members in names.items() for value in members}
    counts, positives, others = dict.fromkeys(names, 0), dict.fromkeys(names, 0), {}
    for row in by_value:
        value, group = str(row["value"]), group_of.get(str(row["value"]))
        if group is None:
            others[value] = int(row["rows"])
        else:
            counts[group] += int(row["rows"])
            positives[group] += int(row["positives"] or 0)
    total = sum(int(row["positives"] or 0) for row in by_value)
    return GroupCounts(counts, positives, others, rows.height, total)


def represented(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """Every declared group has its least rows, share and positives among the rows that train, and
    few rows belong to none.
    """
    declarations = use_case.data_checks.representation
    train = rows_that_train(use_case, frame) if declarations else frame
    if train.height == 0:
        return []
    return [
        finding
        for declared in declarations
        for finding in _judged(declared, counted(use_case, declared, train), table)
    ]


def against_whole(
    use_case: UseCase, settings: Settings, frame: pl.DataFrame, snapshot: Snapshot, window: Interval
) -> tuple[list[str], list[Finding]]:
    """A note of each grouping with its figures, and what lies too far below a group's share of all
    questions asked before the window's end.
    """
    notes, findings = [], []
    declarations = use_case.data_checks.representation
    train = rows_that_train(use_case, frame) if declarations else frame
    for declared in declarations:
        seen = counted(use_case, declared, train)
        notes.append(f"{snapshot.name}: {declared.column} of the rows that train: {seen.text}")
        if declared.min_ratio_to_whole is not None and train.height:
            whole = counted(use_case, declared, _whole(use_case, settings, snapshot, window))
            findings += _compared(declared, seen, whole, snapshot.name)
    return notes, findings


def _whole(
    use_case: UseCase, settings: Settings, snapshot: Snapshot, window: Interval
) -> pl.DataFrame:
    """All questions of the data set before the window's end, at the version that was read."""
    data = use_case.training_data
    before = pl.col(data.event_time) < pl.lit(window.end)
    return questions(
        data,
        TableStore(settings.tables_uri),
        use_case.table(data.entity_table),
        before,
        version=snapshot.sources.get(data.entity_table),
    )


def _judged(declared: Representation, counts: GroupCounts, table: str) -> Iterator[Finding]:
    column = declared.column
    for name in counts.rows:
        rows, positives = counts.rows[name], counts.positives[name]
        seen, of_positives = _of(rows, counts.all_rows), _of(positives, counts.all_positives)
        share = counts.share(name)
        positive_share = positives / counts.all_positives if counts.all_positives else 0.0
        bounds = (
            (rows < declared.minimum_rows, f"at least {declared.minimum_rows} rows", seen),
            (
                share < declared.minimum_share,
                f"at least {declared.minimum_share:.2%} of rows",
                seen,
            ),
            (
                positives < declared.minimum_positives,
                f"at least {declared.minimum_positives} positive rows",
                of_positives,
            ),
            (
                positive_share < declared.minimum_positive_share,
                f"at least {declared.minimum_positive_share:.2%} of the positive rows",
                of_positives,
            ),
        )
        for broken, expected, observed in bounds:
            if broken:
                limit = f"{expected} that train of group {name!r}"
                yield broken_rule(table, column, REPRESENTATION, limit, observed)
    strange = sum(counts.others.values())
    if strange > declared.max_other_share * counts.all_rows:
        limit = f"at most {declared.max_other_share:.2%} of rows that train of no group"
        observed = f"{_of(strange, counts.all_rows)}: {_named(counts.others)}"
        yield broken_rule(table, column, REPRESENTATION, limit, observed)


def _compared(
    declared: Representation, seen: GroupCounts, whole: GroupCounts, table: str
) -> list[Finding]:
    least = declared.min_ratio_to_whole or 0.0
    return [
        broken_rule(
            table,
            declared.column,
            AGAINST_WHOLE,
            (
                f"group {name!r} with at least {least:g} of its share of all questions,"
                f" {_of(whole.rows[name], whole.all_rows)}"
            ),
            _of(seen.rows[name], seen.all_rows),
        )
        for name in seen.rows
        if seen.share(name) < least * whole.share(name)
    ]


def _value(column: str) -> pl.Expr:
    """The values as text; what a row lacks is not what a text says that it lacks."""
    text = pl.col(column).cast(pl.String)
    literal = pl.when(text == MISSING).then(pl.lit(json.dumps(MISSING))).otherwise(text)
    return literal.fill_null(MISSING).alias("value")


def _of(count: int, total: int) -> str:
    return f"{count} of {total} rows ({count / total if total else 0.0:.2%})"


def _named(others: Mapping[str, int]) -> str:
    ordered = sorted(others, key=lambda value: (-others[value], value))
    more = len(ordered) - MOST_NAMED
    listed = ", ".join(f"{value!r} {others[value]}" for value in ordered[:MOST_NAMED])
    return f"{listed} and {more} values more" if more > 0 else listed
