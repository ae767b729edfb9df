"""What the declaration of a table cannot say about a delivery: is it new, is it like what came before, are its values real.

Every comparison is an effect size with a least number of rows, and a column has changed only when it is far from every reference.
A column that already broke a rule is not judged again: a failure names a cause, not its consequences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from include.data.profiles import Profile, comparable_rows, new_share, psi, shift
from include.data.published import Statistics, content_digest, describe_table
from include.data.references import DAY, Reference
from include.data.tables import TableStore, in_window
from include.data.validation import Failure, example_row
from include.spec import Column, Table, UseCase
from include.steps import Interval

# Fewer rows than these may repeat an earlier interval's by chance.
COPIED_ROWS = 50
# Text with fewer rows than these per value is an identifier, not a distribution.
ROWS_PER_VALUE = 20


@dataclass
class Judgement:
    """What was found out about one table of a delivery. `notes` says what could not be judged, and why."""

    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Delivery:
    """One table's rows of one interval, with what they are compared with; `broken` names the columns that already failed."""

    use_case: UseCase
    table: Table
    frame: pl.DataFrame
    interval: Interval
    references: list[Reference]
    others: list[Statistics]
    broken: frozenset[str]


def check_delivery(delivery: Delivery, tables: TableStore) -> Judgement:
    """All rules of this module on one table. Rows that cannot be judged at all (none, or no known column) are left to the declaration."""
    judgement = Judgement()
    if delivery.frame.height == 0:
        return judgement
    judgement.failures += sentinels(delivery)
    judgement.failures += [*repeated_keys(delivery, tables), *copied_rows(delivery)]
    if not delivery.references:
        judgement.notes.append(f"{delivery.table.name}: no reference yet: first interval; judged by its declaration alone")
        return judgement
    judgement.failures += volume(delivery)
    spoilt = delivery.broken | {failure.column for failure in judgement.failures}
    described = describe_table(delivery.table, delivery.frame, delivery.interval)
    for column in delivery.table.columns:
        if column.name in spoilt or column.name not in described.profiles or column.name in _lone_key(delivery.table):
            continue
        failure, note = _compare(delivery, column, described.profiles[column.name])
        judgement.failures += [failure] if failure else []
        judgement.notes += [note] if note else []
    return judgement


def sentinels(delivery: Delivery) -> list[Failure]:
    """No value stands for a missing one. A column that declares categories, or whose range failed, is judged there."""
    failures = []
    for column in delivery.table.columns:
        if column.name not in delivery.frame.columns or column.name in delivery.broken or column.categories:
            continue
        wanted = delivery.use_case.data_checks.sentinels if column.sentinels is None else column.sentinels
        dtype = delivery.frame.schema[column.name]
        kind: type = str if dtype == pl.String else float
        if dtype != pl.String and not dtype.is_numeric():
            continue
        listed = [value for value in wanted if isinstance(value, kind)]
        value = pl.col(column.name).str.strip_chars() if dtype == pl.String else pl.col(column.name).cast(pl.Float64)
        bad = delivery.frame.filter(value.is_in(listed))
        if bad.height:
            seen = f"{_count(bad, delivery.frame)}, e.g. {bad[column.name][0]!r}"
            failures.append(_failure(delivery, column.name, "sentinel", f"none of {listed}: a missing value is null", seen, bad))
    return failures


def repeated_keys(delivery: Delivery, tables: TableStore) -> list[Failure]:
    """A row is delivered once: its key is in no other published interval."""
    table, frame = delivery.table, delivery.frame
    named = set(table.key) <= set(frame.columns) and not delivery.broken & set(table.key)
    if table.time_column is None or not table.key or not named or not tables.exists(table.name):
        return []
    inside = in_window(table.time_column, delivery.interval.start, delivery.interval.end)
    elsewhere = tables.read(table.name, columns=[*table.key, table.time_column], where=~inside).rename({table.time_column: "published_at"})
    bad = frame.join(elsewhere, on=list(table.key), how="inner")
    limit = delivery.use_case.data_checks.max_repeated_keys
    if bad.height <= limit * frame.height:
        return []
    expected = f"at most {limit:.2%} of the rows with a key that another interval published"
    return [_failure(delivery, "+".join(table.key), "duplicate delivery", expected, _count(bad, frame), bad)]


def copied_rows(delivery: Delivery) -> list[Failure]:
    """The rows, keys and times aside, are not those of another interval: an old file under a new date."""
    if delivery.table.time_column is None or delivery.frame.height < COPIED_ROWS:
        return []
    digest = content_digest(delivery.table, delivery.frame)
    same = [part.interval.label for part in delivery.others if part.content_digest == digest]
    if not same:
        return []
    expected = "rows that no other interval delivered"
    observed = f"all {delivery.frame.height} rows, keys and times aside, are those of {', '.join(same)}"
    return [_failure(delivery, "", "duplicate delivery", expected, observed, delivery.frame)]


def volume(delivery: Delivery) -> list[Failure]:
    """As many rows a day as before, within a factor; judged where at least `minimum_rows` are to be expected."""
    checks, rows = delivery.use_case.data_checks, delivery.frame.height
    days = (delivery.interval.end - delivery.interval.start) / DAY if delivery.table.time_column else 1.0
    expected = {part.name: part.volume * days for part in delivery.references if part.volume * days >= checks.minimum_rows}
    factors = {name: max(rows / count, count / rows) for name, count in expected.items()}
    if not factors or min(factors.values()) <= checks.max_volume_change:
        return []
    nearest = min(factors, key=lambda name: factors[name])
    bounds = f"{expected[nearest] / checks.max_volume_change:.0f} to {expected[nearest] * checks.max_volume_change:.0f} rows"
    text = f"{bounds} (a factor of {checks.max_volume_change} around {nearest})"
    return [_failure(delivery, "", "volume", text, f"{rows} rows", None)]


def label_times(use_case: UseCase, entities: pl.DataFrame, labels: pl.DataFrame) -> list[Failure]:
    """Every label of the delivery became known after its question was asked; `entities` holds the ids and event times there are."""
    column, event_time, key = use_case.label.time_column, use_case.event_time, use_case.id_column
    if not {key, column} <= set(labels.columns) or not {key, event_time} <= set(entities.columns):
        return []
    asked = entities.select(key, pl.col(event_time).alias("__asked")).unique(key)
    if labels.schema[key] != asked.schema[key] or not isinstance(labels.schema[column], pl.Datetime):
        return []
    early = labels.join(asked, on=key, how="inner").filter(pl.col(column) <= pl.col("__asked"))
    if early.height == 0:
        return []
    expected = f"{column} later than {event_time}"
    example = example_row(early.rename({"__asked": f"{event_time} of the event"}))
    return [Failure(use_case.label.table, column, "label after event", expected, _count(early, labels), example)]


def _compare(delivery: Delivery, column: Column, new: Profile) -> tuple[Failure | None, str]:
    """The first rule that the column breaks, or a note on what could not be compared."""
    checks, label = delivery.use_case.data_checks, delivery.use_case.label
    sides = [(part, part.profiles[column.name]) for part in delivery.references if column.name in part.profiles]
    where = f"{delivery.table.name}.{column.name}"
    if not sides:
        return None, f"{where}: not compared: no published interval holds statistics of it"
    big = [(part, old) for part, old in sides if min(old.rows, new.rows) >= checks.minimum_rows]
    nulls = _farthest(
        delivery, column, "null share", big, checks.max_null_change, lambda old: new.null_share - old.null_share, f"{new.null_share:.2%}"
    )
    if nulls:
        return nulls, ""
    enough = [(part, old) for part, old in sides if comparable_rows(old, new) >= checks.minimum_rows]
    if not enough:
        rows = max(comparable_rows(old, new) for _, old in sides)
        return None, f"{where}: not compared: {rows} rows with a value on both sides, {checks.minimum_rows} needed"
    if delivery.table.name == label.table and column.name == label.column:
        old_means = {id(old): old.mean or 0.0 for _, old in enough}
        mean = new.mean or 0.0
        seen = f"{mean:.2%} positive"
        return _farthest(
            delivery, column, "label share", enough, checks.max_label_change, lambda old: abs(mean - old_means[id(old)]), seen
        ), ""
    return _distribution(delivery, column, new, enough)


def _distribution(delivery: Delivery, column: Column, new: Profile, sides: list[tuple[Reference, Profile]]) -> tuple[Failure | None, str]:
    checks = delivery.use_case.data_checks
    if new.kind == "text" and not column.categories:
        limit = checks.max_new_share if column.max_new_share is None else column.max_new_share
        share = max(new_share(old, new)[0] for _, old in sides)
        flood = _farthest(delivery, column, "unseen values", sides, limit, lambda old: _excess(old, new), f"{share:.2%} of the rows")
        if flood:
            return flood, ""
    if new.kind == "text" and max(len(old.values) for _, old in sides) * ROWS_PER_VALUE > min(
        comparable_rows(old, new) for _, old in sides
    ):
        return None, f"{delivery.table.name}.{column.name}: its distribution was not compared: too many values for the rows"
    limits = (column.max_psi or checks.max_psi, column.max_shift or checks.max_shift)
    facts = f"rows {new.rows}, mean {new.mean:.4g}" if new.mean is not None else f"rows {new.rows}"
    moved = _farthest(delivery, column, "distribution (PSI)", sides, limits[0], lambda old: psi(old, new), facts)
    return moved or _farthest(delivery, column, "distribution (shift)", sides, limits[1], lambda old: shift(old, new), facts), ""


def _excess(old: Profile, new: Profile) -> float:
    share, expected = new_share(old, new)
    return share - expected


def _farthest(
    delivery: Delivery,
    column: Column,
    rule: str,
    sides: list[tuple[Reference, Profile]],
    limit: float,
    effect: Callable[[Profile], float],
    facts: str,
) -> Failure | None:
    """A failure when the effect exceeds the limit against every reference; it reports all of them."""
    effects = {part.name: effect(old) for part, old in sides}
    if not effects or min(effects.values()) <= limit:
        return None
    observed = f"{facts}; " + ", ".join(f"{value:.3f} from {name}" for name, value in effects.items())
    return _failure(
        delivery, column.name, rule, f"a change of at most {limit} from one of the references", observed, _offenders(delivery, column, rule)
    )


def _offenders(delivery: Delivery, column: Column, rule: str) -> pl.DataFrame:
    """Rows that show what is wrong: null ones, unseen ones, else any."""
    values = delivery.frame[column.name]
    if rule == "null share":
        return delivery.frame.filter(values.is_null())
    if rule == "unseen values":
        known = {value for part in delivery.references if column.name in part.profiles for value in part.profiles[column.name].values}
        return delivery.frame.filter(~values.is_in(list(known)) & values.is_not_null())
    return delivery.frame.filter(values.is_not_null())


def _lone_key(table: Table) -> set[str]:
    return set(table.key) if len(table.key) == 1 else set()


def _count(bad: pl.DataFrame, whole: pl.DataFrame) -> str:
    return f"{bad.height} of {whole.height} rows ({bad.height / max(whole.height, 1):.2%})"


def _failure(delivery: Delivery, column: str, rule: str, expected: str, observed: str, bad: pl.DataFrame | None) -> Failure:
    return Failure(delivery.table.name, column, rule, expected, observed, None if bad is None or bad.is_empty() else example_row(bad))
