"""What rows of two tables with the same key say about each other.

A pair is judged where the later of its two rows is delivered: rows of a delivery with each other,
and with the rows of the other table that are published already, whichever of the two tables comes
last. Of a table that another use case writes everything that is published counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from include.errors import SpecError
from include.interval import Interval
from include.quality.delivery import counted
from include.quality.validation import example_row
from include.spec import CrossTableRule, Table, UseCase
from include.tables.declared import read_declared
from include.tables.store import TableStore, in_window
from include.tables.types import TYPES
from include.verdict import Finding, broken_rule

RULE = "cross-table rule"
JUDGED = "__judged"
HOLDS = "__holds"


def condition(use_case: UseCase, rule: CrossTableRule) -> pl.Expr:
    """The rule's condition over one struct per table.

    Raises `SpecError` when it is none, or reads what the two tables do not declare.
    """
    where = f"cross-table rule {rule.name!r}: {rule.holds!r}"
    nothing = pl.DataFrame(
        schema={
            alias: pl.Struct({part.name: TYPES[part.type] for part in use_case.table(name).columns})
            for alias, name in zip(rule.aliases, rule.tables, strict=True)
        }
    )
    try:
        expression = pl.sql_expr(rule.holds)
        read = sorted(set(expression.meta.root_names()))
        kind = nothing.select(expression.alias(HOLDS)).schema[HOLDS]
    except pl.exceptions.PolarsError as error:
        raise SpecError(
            f"{where} is no condition in SQL over {list(rule.aliases)} and their columns: {error}"
        ) from error
    if read != sorted(rule.aliases):
        raise SpecError(
            f"{where} reads {read}; it must read both tables, as {list(rule.aliases)}. What one"
            " table says by itself is one of its row_rules."
        )
    if kind != pl.Boolean:
        raise SpecError(f"{where} is a {kind} and no condition; compare it with something.")
    return expression


def cross_table_failures(
    use_case: UseCase,
    tables: TableStore,
    delivered: Mapping[str, pl.DataFrame],
    interval: Interval,
) -> tuple[list[str], list[Finding]]:
    """Notes on what could not be judged, and the rules that the delivered rows break."""
    notes: list[str] = []
    failures: list[Finding] = []
    for rule in use_case.cross_table_rules:
        where = f"{' with '.join(rule.tables)}: {rule.name!r}"
        brought = [name for name in rule.tables if name in delivered]
        if not all(_is_typed(use_case.table(name), rule, delivered[name]) for name in brought):
            notes.append(f"{where}: not judged: columns that it reads failed already")
            continue
        try:
            pairs = _pairs(use_case, tables, rule, delivered, interval)
            judged = pairs.with_columns(condition(use_case, rule).alias(HOLDS))
        except pl.exceptions.PolarsError as error:
            text = f"the check could not be made: {error}"
            failures.append(broken_rule(rule.tables[0], "", RULE, _expected(rule), text))
            continue
        if pairs.height == 0:
            notes.append(f"{where}: not judged: no delivered row has a partner by {list(rule.on)}")
        failures += _failures(rule, judged)
    return notes, failures


def _failures(rule: CrossTableRule, pairs: pl.DataFrame) -> list[Finding]:
    """A failure for each table of which the delivery brought rows that break the rule."""
    bad = pairs.filter(~pl.col(HOLDS))
    if bad.height <= rule.max_broken_share * pairs.height:
        return []
    observed = counted(bad, pairs)
    return [
        broken_rule(name, "", RULE, _expected(rule), observed, _example(rule, part))
        for name in rule.tables
        if (part := bad.filter(pl.col(JUDGED) == name)).height
    ]


def _expected(rule: CrossTableRule) -> str:
    allowed = f" (not so in at most {rule.max_broken_share:.2%})" if rule.max_broken_share else ""
    return f"{rule.name}: {rule.holds}{allowed}, joined by {' + '.join(rule.on)}"


def _example(rule: CrossTableRule, bad: pl.DataFrame) -> dict[str, Any]:
    """Both rows of the first bad pair."""
    both = [
        pl.col(alias).struct.field(field.name).alias(f"{alias}.{field.name}")
        for alias in rule.aliases
        for field in bad.schema[alias].fields  # type: ignore[attr-defined]
    ]
    return example_row(bad.head(1).select(both))


def _pairs(
    use_case: UseCase,
    tables: TableStore,
    rule: CrossTableRule,
    delivered: Mapping[str, pl.DataFrame],
    interval: Interval,
) -> pl.DataFrame:
    """Joined rows of which one at least is delivered, each table's as a struct called by its
    alias.
    """
    first, second = (use_case.table(name) for name in rule.tables)
    new = [
        _side(table, rule, delivered.get(table.name, _empty(table, rule)))
        for table in (first, second)
    ]
    old = [
        _side(table, rule, _published(tables, table, rule, interval)) for table in (first, second)
    ]
    sides = (
        (new[0], new[1], first.name),
        (new[0], old[1], first.name),
        (old[0], new[1], second.name),
    )
    return pl.concat(
        left.join(right, on=list(rule.on), how="inner").with_columns(pl.lit(judged).alias(JUDGED))
        for left, right, judged in sides
    )


def _side(table: Table, rule: CrossTableRule, frame: pl.DataFrame) -> pl.DataFrame:
    """The table's rows as structs. A key that is there twice, which a rule of its own refuses, has
    one row: no delivery's pairs may outgrow its rows.
    """
    alias = rule.aliases[rule.tables.index(table.name)]
    if set(table.key) == set(rule.on):
        frame = frame.unique(list(rule.on), keep="first", maintain_order=True)
    return frame.select(*rule.on, pl.struct(_columns(table, rule)).alias(alias))


def _published(
    tables: TableStore, table: Table, rule: CrossTableRule, interval: Interval
) -> pl.DataFrame:
    """The table's rows that stay beside the delivery: those of other intervals, and all of one that
    another use case writes.
    """
    nothing = _empty(table, rule)
    elsewhere: pl.Expr | None = None
    if table.written_by is None and table.time_column is not None:
        elsewhere = ~in_window(table.time_column, interval.start, interval.end)
    replaced = table.written_by is None and table.time_column is None
    if replaced or not tables.exists(table.name):
        return nothing
    types = dict(nothing.schema)
    return read_declared(tables, table, list(types), where=elsewhere).cast(types, strict=False)  # type: ignore[arg-type]


def _empty(table: Table, rule: CrossTableRule) -> pl.DataFrame:
    """No rows, of the columns that the rule can read in their declared types."""
    columns = _columns(table, rule)
    return pl.DataFrame(
        schema={part.name: TYPES[part.type] for part in table.columns if part.name in columns}
    )


def _columns(table: Table, rule: CrossTableRule) -> list[str]:
    """The columns that the rule can read: the joined ones, and those whose names stand in it."""
    names = [part.name for part in table.columns]
    return [name for name in names if name in rule.on or name in rule.holds or '"' in name]


def _is_typed(table: Table, rule: CrossTableRule, frame: pl.DataFrame) -> bool:
    types = {part.name: TYPES[part.type] for part in table.columns}
    return all(frame.schema.get(name) == types[name] for name in _columns(table, rule))
