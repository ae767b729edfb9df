"""What the declaration of a table cannot say about a delivery: is it new, is it like what came
before, are its values real.

Every comparison is an effect size with a least number of rows, and a column has changed only when
it is far from every reference. A column that already broke a rule is not judged again: a failure
names a cause, not its consequences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from include.quality.column_checks import check_column
from include.quality.delivery import Delivery, counted
from include.quality.published import chance_of_equal_content, content_digest, describe_table
from include.quality.references import DAY
from include.quality.validation import example_row
from include.spec import Table, UseCase
from include.tables.declared import read_declared
from include.tables.store import TableStore, in_window
from include.verdict import Finding, broken_rule

# Fewer rows than these may repeat an earlier interval's by chance.
COPIED_ROWS = 50
COPIED_CHANCE = 1e-6


@dataclass
class Judgement:
    """What was found out about one table of a delivery.

    `notes` says what could not be judged, and why.
    """

    failures: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_delivery(delivery: Delivery, tables: TableStore) -> Judgement:
    """All rules of this module on one table.

    Rows that cannot be judged at all (none, or no known column) are left to the declaration.
    """
    judgement = Judgement()
    if delivery.frame.height == 0:
        return judgement
    judgement.failures += [
        failure
        for checks in TABLE_RULES.values()
        for check in checks
        for failure in check(delivery, tables)
    ]
    if not delivery.references:
        judgement.notes.append(
            f"{delivery.table.name}: no reference yet: first interval; judged by its declaration"
            " alone"
        )
        return judgement
    spoilt = delivery.broken | {failure.part for failure in judgement.failures}
    described = describe_table(delivery.table, delivery.frame, delivery.interval)
    for column in delivery.table.columns:
        if (
            column.name in spoilt
            or column.name not in described.profiles
            or column.name in _lone_key(delivery.table)
        ):
            continue
        failure, note = check_column(delivery, column, described.profiles[column.name])
        judgement.failures += [failure] if failure else []
        judgement.notes += [note] if note else []
    return judgement


def sentinels(delivery: Delivery, _: TableStore) -> list[Finding]:
    """No value stands for a missing one.

    A column that declares categories, or whose range failed, is judged there.
    """
    failures = []
    for column in delivery.table.columns:
        if (
            column.name not in delivery.frame.columns
            or column.name in delivery.broken
            or column.categories
        ):
            continue
        declared = (
            delivery.use_case.data_checks.sentinels
            if column.sentinels is None
            else column.sentinels
        )
        dtype = delivery.frame.schema[column.name]
        kind: type = str if dtype == pl.String else float
        if dtype != pl.String and not dtype.is_numeric():
            continue
        listed = [value for value in declared if isinstance(value, kind)]
        value = (
            pl.col(column.name).str.strip_chars()
            if dtype == pl.String
            else pl.col(column.name).cast(pl.Float64)
        )
        bad = delivery.frame.filter(value.is_in(listed))
        if bad.height:
            seen = f"{counted(bad, delivery.frame)}, e.g. {bad[column.name][0]!r}"
            failures.append(
                delivery.failure(
                    column.name, "sentinel", f"none of {listed}: a missing value is null", seen, bad
                )
            )
    return failures


def repeated_keys(delivery: Delivery, tables: TableStore) -> list[Finding]:
    """A row is delivered once: its key is in no other published interval."""
    table, frame = delivery.table, delivery.frame
    named = set(table.key) <= set(frame.columns) and not delivery.broken & set(table.key)
    if table.time_column is None or not table.key or not named or not tables.exists(table.name):
        return []
    inside = in_window(table.time_column, delivery.interval.start, delivery.interval.end)
    elsewhere = tables.read(
        table.name, columns=[*table.key, table.time_column], where=~inside
    ).rename({table.time_column: "published_at"})
    bad = frame.join(elsewhere, on=list(table.key), how="inner")
    limit = delivery.use_case.data_checks.max_repeated_keys
    if bad.height <= limit * frame.height:
        return []
    expected = f"at most {limit:.2%} of the rows with a key that another interval published"
    return [
        delivery.failure(
            "+".join(table.key), "duplicate delivery", expected, counted(bad, frame), bad
        )
    ]


def copied_rows(delivery: Delivery, _: TableStore) -> list[Finding]:
    """The rows, keys and times aside, are not those of another interval: an old file under a new
    date. Not judged where so few distinct values come together like that by chance, or because the
    same are there at every moment.
    """
    if delivery.table.time_column is None or delivery.frame.height < COPIED_ROWS:
        return []
    digest = content_digest(delivery.table, delivery.frame)
    same = [part.interval.label for part in delivery.others if part.content_digest == digest]
    about = delivery.use_case.serving.entity_keys
    chance = chance_of_equal_content(delivery.table, delivery.frame, about) * len(delivery.others)
    if not same or chance > COPIED_CHANCE:
        return []
    expected = "rows that no other interval delivered"
    observed = (
        f"all {delivery.frame.height} rows, keys and times aside, are those of {', '.join(same)}"
    )
    return [delivery.failure("", "duplicate delivery", expected, observed, delivery.frame)]


def natural_keys(delivery: Delivery, tables: TableStore) -> list[Finding]:
    """No two keys, of this delivery or of another published interval, stand for the same real
    thing.
    """
    table, frame = delivery.table, delivery.frame
    names = [*table.key, *table.natural_key]
    there = set(names) <= set(frame.columns) and not delivery.broken & set(names)
    if not table.natural_key or not there:
        return []
    bad = _under_other_keys(table, frame, _keys_published(delivery, tables, names))
    limit = delivery.use_case.data_checks.max_natural_repeats
    if bad.height <= limit * frame.height:
        return []
    allowed = f" (not so in at most {limit:.2%})" if limit else ""
    expected = f"one {' + '.join(table.key)} for one {' + '.join(table.natural_key)}{allowed}"
    column = "+".join(table.natural_key)
    return [delivery.failure(column, "natural key", expected, counted(bad, frame), bad)]


def _keys_published(delivery: Delivery, tables: TableStore, names: list[str]) -> pl.DataFrame:
    """The keys of the delivery, and of the intervals that stay published beside it."""
    table, rows = delivery.table, delivery.frame.select(names)
    if table.time_column is None or not tables.exists(table.name):
        return rows
    outside = ~in_window(table.time_column, delivery.interval.start, delivery.interval.end)
    elsewhere = read_declared(tables, table, names, where=outside)
    return pl.concat([rows, elsewhere.cast(rows.schema, strict=False)])


def _under_other_keys(table: Table, frame: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """The rows whose natural key another key has too, with that key beside them."""
    first, last = ({name: f"{end} {name}" for name in table.key} for end in ("first", "last"))
    repeated = (
        keys.unique()
        .sort(table.key)
        .group_by(table.natural_key)
        .agg(
            pl.len().alias("keys"),
            *(pl.col(name).first().alias(first[name]) for name in table.key),
            *(pl.col(name).last().alias(last[name]) for name in table.key),
        )
        .filter(pl.col("keys") > 1)
    )
    is_first = pl.all_horizontal(pl.col(name) == pl.col(first[name]) for name in table.key)
    other = [
        pl.when(is_first)
        .then(pl.col(last[name]))
        .otherwise(first[name])
        .alias(f"{name} of another")
        for name in table.key
    ]
    joined = frame.join(repeated, on=list(table.natural_key), how="inner", maintain_order="left")
    return joined.select(*frame.columns, *other)


def volume(delivery: Delivery, _: TableStore) -> list[Finding]:
    """As many rows a day as before, within a factor; judged where at least `minimum_rows` are to be
    expected.
    """
    checks, rows = delivery.use_case.data_checks, delivery.frame.height
    days = (
        (delivery.interval.end - delivery.interval.start) / DAY
        if delivery.table.time_column
        else 1.0
    )
    expected = {
        part.name: part.volume * days
        for part in delivery.references
        if part.volume * days >= checks.minimum_rows
    }
    factors = {name: max(rows / count, count / rows) for name, count in expected.items()}
    if not factors or min(factors.values()) <= checks.max_volume_change:
        return []
    nearest = min(factors, key=lambda name: factors[name])
    bounds = (
        f"{expected[nearest] / checks.max_volume_change:.0f} to"
        f" {expected[nearest] * checks.max_volume_change:.0f} rows"
    )
    text = f"{bounds} (a factor of {checks.max_volume_change} around {nearest})"
    return [delivery.failure("", "volume", text, f"{rows} rows", None)]


TABLE_RULES: dict[str, tuple[Callable[[Delivery, TableStore], list[Finding]], ...]] = {
    "sentinel": (sentinels,),
    "duplicate delivery": (repeated_keys, copied_rows),
    "natural key": (natural_keys,),
    "volume": (volume,),
}


def label_times(use_case: UseCase, entities: pl.DataFrame, labels: pl.DataFrame) -> list[Finding]:
    """Every label of the delivery became known after its question was asked, by `known_after` at
    least; `entities` holds the ids and event times there are.
    """
    column, event_time, key = use_case.data_set.label_time, use_case.event_time, use_case.id_column
    if not {key, column} <= set(labels.columns) or not {key, event_time} <= set(entities.columns):
        return []
    questions = entities.select(key, pl.col(event_time).alias("__asked")).unique(key)
    if labels.schema[key] != questions.schema[key] or not isinstance(
        labels.schema[column], pl.Datetime
    ):
        return []
    joined = labels.join(questions, on=key, how="inner")
    early = joined.filter(known_too_early(use_case, pl.col("__asked")))
    if early.height == 0:
        return []
    example = example_row(early.rename({"__asked": f"{event_time} of the event"}))
    return [
        broken_rule(
            use_case.data_set.label_table,
            column,
            "label after event",
            expected_label_time(use_case),
            counted(early, labels),
            example,
        )
    ]


def known_too_early(use_case: UseCase, asked: pl.Expr, known: pl.Expr | None = None) -> pl.Expr:
    """Whether a label was known before it could be, from the moment `asked`; `known` is the column
    of the label table, unless another is named.
    """
    known = pl.col(use_case.data_set.label_time) if known is None else known
    return (known <= asked) | (known < asked + use_case.label.known_after)


def expected_label_time(use_case: UseCase) -> str:
    """What a label's time must be, in words."""
    column, after = use_case.data_set.label_time, use_case.label.known_after
    by = f", by {after} or more" if after else ""
    return f"{column} later than {use_case.event_time}{by}"


def _lone_key(table: Table) -> set[str]:
    return set(table.key) if len(table.key) == 1 else set()
