"""The rules of a table, from its declaration: each with the expectation that decides and, in
Polars, the rows that break it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from include.errors import SpecError
from include.interval import Interval
from include.spec import Column, ColumnType, RowRule, Table
from include.tables.types import TYPES

# As Great Expectations names the scalar types of a pandas column: only a timestamp with a time zone
# is a `Timestamp`.
PANDAS_TYPES: dict[ColumnType, str] = {
    "string": "str",
    "integer": "int64",
    "number": "float64",
    "boolean": "bool",
    "timestamp": "Timestamp",
}


EARLY = "known before it happened"
"""The rule on rows that are known earlier than what they speak of."""


@dataclass(frozen=True)
class Rule:
    """One rule of a table: the expectation that decides (type and arguments) and, in Polars, which
    rows break it.
    """

    name: str
    column: str
    expected: str
    expectation: str
    arguments: dict[str, Any]
    broken: pl.Expr | None = None


def declared_rules(table: Table) -> list[Rule]:
    """The rules that hold for every batch of the table, whatever its interval: what the suite in
    the repository says.
    """
    columns = {column.name: TYPES[column.type] for column in table.columns}
    return rules_of(table, pl.DataFrame(schema=columns), None, table.minimum_rows)


def rules_of(
    table: Table, frame: pl.DataFrame, window: Interval | None, minimum_rows: int
) -> list[Rule]:
    """The rules that `frame` is judged by: those of the declaration that its columns allow, and the
    window's.
    """
    return list(_rules(table, frame, window, minimum_rows))


def with_checks(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with a truth column for every row rule that can be judged on it: what Great
    Expectations looks at.
    """
    for rule in _row_rules(table):
        if _can_judge(table, rule, frame):
            try:
                frame = frame.with_columns(condition(rule).alias(check_column(rule)))
            except pl.exceptions.PolarsError:
                frame = frame.with_columns(pl.lit(value=False).alias(check_column(rule)))
    return frame


def condition(rule: RowRule) -> pl.Expr:
    """The rule's condition.

    Raises `SpecError` when it is none, or reads other columns than the rule declares.
    """
    try:
        expression = pl.sql_expr(rule.holds)
        read = sorted(set(expression.meta.root_names()))
    except pl.exceptions.PolarsError as error:
        raise SpecError(
            f"row rule {rule.name!r}: {rule.holds!r} is no condition in SQL: {error}"
        ) from error
    if read != sorted(rule.columns):
        raise SpecError(
            f"row rule {rule.name!r}: {rule.holds!r} reads {read}, but columns declares"
            f" {sorted(rule.columns)}."
        )
    return expression


def _row_rules(table: Table) -> Iterator[RowRule]:
    """The declared ones, and the one that follows from the moment that a row speaks of."""
    yield from table.row_rules
    if table.happens_at is not None:
        known, happens = (_quoted(str(name)) for name in (table.time_column, table.happens_at))
        least = table.known_after // timedelta(microseconds=1)
        later = f" + INTERVAL '{least} microseconds'" if least else ""
        yield RowRule(
            name=EARLY,
            columns=(str(table.time_column), table.happens_at),
            holds=f"{known} >= {happens}{later}",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def check_column(rule: RowRule) -> str:
    """The name of the truth column of a row rule."""
    return f"check: {rule.name}"


def _rules(
    table: Table, frame: pl.DataFrame, window: Interval | None, minimum_rows: int
) -> Iterator[Rule]:
    """The table's rules that its columns allow to be judged; a missing column is one failure, not
    five.
    """
    names = [column.name for column in table.columns]
    yield Rule(
        "row count",
        "",
        f"at least {minimum_rows} rows",
        "ExpectTableRowCountToBeBetween",
        {"min_value": minimum_rows},
    )
    columns = {"column_set": names, "exact_match": False}
    yield Rule("columns", "", f"at least {names}", "ExpectTableColumnsToMatchSet", columns)
    for column in table.columns:
        if column.name in frame.columns:
            yield from _column_rules(column, frame.schema[column.name])
    if table.key and set(table.key) <= set(frame.columns):
        yield _key_rule(table.key)
    if window is not None and table.time_column in frame.columns:
        yield _window_rule(str(table.time_column), window)
    for rule in _row_rules(table):
        if _can_judge(table, rule, frame):
            yield _row_rule(rule)


def _column_rules(column: Column, dtype: pl.DataType) -> Iterator[Rule]:
    name = column.name
    yield Rule(
        "type",
        name,
        column.type,
        "ExpectColumnValuesToBeOfType",
        {"column": name, "type_": PANDAS_TYPES[column.type]},
    )
    absent = pl.col(name).is_null() | (
        pl.col(name).is_nan() if dtype.is_float() else pl.lit(value=False)
    )
    share = f"at most {column.max_null_share:.2%} nulls"
    yield Rule(
        "nulls",
        name,
        share,
        "ExpectColumnValuesToNotBeNull",
        {"column": name, "mostly": 1 - column.max_null_share},
        absent,
    )
    if dtype.is_numeric() and (column.minimum is not None or column.maximum is not None):
        low, high = column.minimum, column.maximum
        outside = pl.any_horizontal(
            pl.col(name) < low if low is not None else pl.lit(value=False),
            pl.col(name) > high if high is not None else pl.lit(value=False),
        )
        bounds = {"column": name, "min_value": low, "max_value": high}
        yield Rule(
            "range",
            name,
            f"between {low} and {high}",
            "ExpectColumnValuesToBeBetween",
            bounds,
            outside & ~absent,
        )
    if column.categories and dtype == pl.String:
        unseen = ~pl.col(name).is_in(list(column.categories)) & ~absent
        rules_by_name = {
            "column": name,
            "value_set": list(column.categories),
            "mostly": 1 - column.unseen_share,
        }
        expected = f"one of {list(column.categories)} (others in at most {column.unseen_share:.2%})"
        yield Rule(
            "categories", name, expected, "ExpectColumnValuesToBeInSet", rules_by_name, unseen
        )


def _key_rule(key: tuple[str, ...]) -> Rule:
    expected = f"{' + '.join(key)} identifies a row"
    broken = pl.struct(key).is_duplicated()
    if len(key) == 1:
        return Rule(
            "unique key",
            key[0],
            expected,
            "ExpectColumnValuesToBeUnique",
            {"column": key[0]},
            broken,
        )
    return Rule(
        "unique key",
        "",
        expected,
        "ExpectCompoundColumnsToBeUnique",
        {"column_list": list(key)},
        broken,
    )


def _window_rule(name: str, window: Interval) -> Rule:
    outside = (pl.col(name) < window.start) | (pl.col(name) >= window.end)
    bounds = {
        "column": name,
        "min_value": window.start,
        "max_value": window.end,
        "strict_max": True,
    }
    return Rule(
        "window",
        name,
        f"in [{window.start}, {window.end})",
        "ExpectColumnValuesToBeBetween",
        bounds,
        outside,
    )


def _row_rule(rule: RowRule) -> Rule:
    """Unknown (a null in it) breaks nothing, as in SQL."""
    allowed = f" (not so in at most {rule.max_broken_share:.2%})" if rule.max_broken_share else ""
    early = rule.name == EARLY
    expected = f"{rule.holds}{allowed}" if early else f"{rule.name}: {rule.holds}{allowed}"
    arguments = {
        "column": check_column(rule),
        "value_set": [True],
        "mostly": 1 - rule.max_broken_share,
    }
    name = EARLY if early else "row rule"
    return Rule(name, "", expected, "ExpectColumnValuesToBeInSet", arguments, ~condition(rule))


def _can_judge(table: Table, rule: RowRule, frame: pl.DataFrame) -> bool:
    """Whether the rule's columns are there with their types; otherwise those rules fail, not this
    one.
    """
    declared = [column for column in table.columns if column.name in rule.columns]
    return all(
        column.name in frame.columns and _fits(column, frame.schema[column.name])
        for column in declared
    )


def _fits(column: Column, dtype: pl.DataType) -> bool:
    return dtype == TYPES[column.type]
