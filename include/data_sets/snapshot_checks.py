"""What a training set must be before a model learns from it.

The declarations of its source tables are checked again on it with Great Expectations (types,
ranges, categories, row count, unique ids, window); the rest is what no single table's declaration
can say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from include.data_sets.copies import copied_test_rows
from include.data_sets.leakage import leaks
from include.data_sets.representation import represented
from include.data_sets.snapshot import snapshot_columns
from include.interval import Interval
from include.problems.registry import strategy_of
from include.quality.delivery_checks import expected_label_time, known_too_early
from include.quality.validation import Validation, example_row, validate
from include.spec import Column, Table, UseCase, feature_types
from include.verdict import Finding, broken_rule

BOTH = 2
Check = Callable[[UseCase, pl.DataFrame, str], list[Finding]]


def check_snapshot(
    use_case: UseCase, frame: pl.DataFrame, table: str, window: Interval
) -> Validation:
    """All broken rules; no failure when the set may be trained on, as far as it alone can tell.

    `table` names the snapshot in them, `window` bounds the event times.
    """
    validation = validate(declaration(use_case, table), frame, window=window)
    if not set(snapshot_columns(use_case)) <= set(frame.columns):
        return validation
    broken = [failure for check in CHECKS for failure in check(use_case, frame, table)]
    return replace(validation, findings=[*validation.findings, *broken])


def declaration(use_case: UseCase, table: str) -> Table:
    """The snapshot as a table: its columns as the source tables declare them, features as the
    inputs read them, any of which may be missing.
    """
    sources = (use_case.table(use_case.entity_table), use_case.table(use_case.data_set.label_table))
    declared = {column.name: column for source in reversed(sources) for column in source.columns}
    for name, kind in feature_types(use_case).items():
        declared[name] = Column(name=name, type=kind, max_null_share=1.0)
    return Table(
        name=table,
        key=(use_case.id_column,),
        # A feature of a shared data set that this model does not read is another model's to
        # declare.
        columns=tuple(declared[name] for name in snapshot_columns(use_case) if name in declared),
        time_column=use_case.event_time,
        minimum_rows=use_case.training.minimum_rows,
    )


def both_classes(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """The label is 0 or 1, and both occur; of another problem: every label is valid, every class
    occurs, values differ.
    """
    unfit = strategy_of(use_case).unfit(frame)
    if unfit is None:
        return []
    column = use_case.label.column
    return [broken_rule(table, column, unfit.rule, unfit.expected, unfit.observed, None)]


def label_after_question(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """Every label became known after its question was asked, by `known_after` at least."""
    column, asked = use_case.data_set.label_time, pl.col(use_case.event_time)
    early = frame.filter(known_too_early(use_case, asked).fill_null(value=True))
    if early.height == 0:
        return []
    return [
        broken_rule(
            table,
            column,
            "label after event",
            expected_label_time(use_case),
            f"{early.height} rows",
            example_row(early),
        )
    ]


def label_share(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """The share of positive labels lies within its bounds; that both classes occur is a rule of its
    own. Others have no such share.
    """
    if not use_case.problem.label_is_rate:
        return []
    checks, column = use_case.data_checks, use_case.label.column
    share = frame.select(pl.col(column).cast(pl.Float64).mean()).item() or 0.0
    if share in (0.0, 1.0) or checks.min_label_share <= share <= checks.max_label_share:
        return []
    expected = f"between {checks.min_label_share:.2%} and {checks.max_label_share:.2%} positive"
    return [
        broken_rule(
            table,
            column,
            "label share",
            expected,
            f"{share:.2%} of {frame.height} rows",
            example_row(frame),
        )
    ]


def features_vary(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """No feature, key or request field that is an input holds one value alone, but where the input
    declares that it may; that a feature has a value is a rule of its own.
    """
    columns = dict.fromkeys(
        item.source.replace(":", "__") for item in use_case.inputs if not item.may_be_constant
    )
    constant = [name for name in columns if frame[name].drop_nulls().n_unique() == 1]
    expected = "at least two values (or may_be_constant of the input)"
    return [
        broken_rule(
            table,
            name,
            "not constant",
            expected,
            f"only {frame[name].drop_nulls()[0]!r}",
            example_row(frame),
        )
        for name in constant
    ]


def no_leak(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """No input alone predicts the label too well; judged where labels can be learned from."""
    return [] if strategy_of(use_case).unfit(frame) else leaks(use_case, frame, table)


def no_test_rows_in_training(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """No row of the test part was copied into training; judged where there is a split in time."""
    apart = not strategy_of(use_case).unfit(frame) and not in_time_order(use_case, frame, table)
    return copied_test_rows(use_case, frame, table) if apart else []


def features_present(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """No feature is null in every row."""
    features = dict.fromkeys(
        reference.replace(":", "__") for reference in use_case.feature_references
    )
    empty = [name for name in features if frame[name].null_count() == frame.height]
    return [
        broken_rule(
            table, name, "not all null", "a value in at least one row", "null in every row", None
        )
        for name in empty
    ]


def in_time_order(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """Event times are present and ascending, as the split in time relies on."""
    times = frame[use_case.event_time]
    good = times.null_count() == 0 and times.is_sorted()
    return (
        []
        if good
        else [
            broken_rule(
                table,
                use_case.event_time,
                "time order",
                "ascending, none missing",
                "not in order",
                None,
            )
        ]
    )


CHECKS: tuple[Check, ...] = (
    both_classes,
    label_share,
    label_after_question,
    features_present,
    features_vary,
    no_leak,
    in_time_order,
    no_test_rows_in_training,
    represented,
)
