"""What a delivery is compared with: the intervals published before it, and the champion's own
training data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from include.interval import Interval
from include.quality.profiles import Profile, pool
from include.quality.published import Statistics, read
from include.spec import Table, UseCase
from include.tables.store import TableStore
from include.verdict import Finding, broken_rule

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Champion:
    """The version in service and the window of its training data."""

    version: int
    window: Interval

    def is_reference_for(self, interval: Interval) -> bool:
        """Whether rows of the interval may be compared with what it was trained on: a reference
        holds from its own data on, and says nothing of what was before.
        """
        return interval.end > self.window.start


@dataclass(frozen=True)
class Reference:
    """Published rows that a delivery is compared with.

    `volume` is rows per day (of a static table: rows).
    """

    name: str
    volume: float
    profiles: dict[str, Profile]


def references(
    tables: TableStore,
    use_case: UseCase,
    table: Table,
    interval: Interval,
    champion: Champion | None,
) -> tuple[list[Reference], list[Statistics], list[Finding]]:
    """What to compare with, the statistics of all other intervals, and what is missing that should
    be there.

    The references: the last interval before this one, the last `reference_intervals` pooled, and,
    unless the interval lies before it, the intervals that overlap the champion's training window.
    An interval is never its own reference. History that is back-filled again is so compared with
    the months before it, and never with what came later.
    """
    others = [part for part in read(tables, use_case, table.name) if part.interval != interval]
    before = [part for part in others if part.interval.end <= interval.start]
    pooled = pooled_references(use_case, table, before)
    failures = []
    if champion is not None and champion.is_reference_for(interval):
        trained = [
            part
            for part in others
            if part.interval.start < champion.window.end
            and part.interval.end > champion.window.start
        ]
        name = f"the training data of champion {champion.version}"
        if trained:
            pooled.append(_pooled(name, table, trained))
        elif not _overlap(interval, champion.window):
            expected = f"statistics of {name}, {champion.window.label}"
            failures.append(
                broken_rule(
                    table.name,
                    "",
                    "reference",
                    expected,
                    "none were kept; publish those intervals again",
                    None,
                )
            )
    if not before and _published_before(tables, table, interval):
        expected = f"statistics of the rows before {interval.start}"
        failures.append(
            broken_rule(
                table.name,
                "",
                "reference",
                expected,
                "none were kept; publish the earlier intervals again",
                None,
            )
        )
    return pooled, others, failures


def pooled_references(use_case: UseCase, table: Table, before: list[Statistics]) -> list[Reference]:
    """The last of the intervals before, and the last `reference_intervals` of them pooled."""
    recent = before[-use_case.data_checks.reference_intervals :]
    pooled = []
    if recent:
        pooled.append(_pooled("the last published interval", table, recent[-1:]))
    if len(recent) > 1:
        pooled.append(_pooled(f"the last {len(recent)} published intervals", table, recent))
    return pooled


def _pooled(name: str, table: Table, parts: list[Statistics]) -> Reference:
    rows = sum(part.rows for part in parts)
    days = sum((part.interval.end - part.interval.start) / DAY for part in parts)
    columns = dict.fromkeys(column for part in parts for column in part.profiles)
    profiles_by_column = {
        column: [part.profiles[column] for part in parts if column in part.profiles]
        for column in columns
    }
    volume = rows / days if table.time_column else rows / len(parts)
    return Reference(
        name, volume, {column: pool(profiles) for column, profiles in profiles_by_column.items()}
    )


def _overlap(left: Interval, right: Interval) -> bool:
    return left.start < right.end and left.end > right.start


def _published_before(tables: TableStore, table: Table, interval: Interval) -> bool:
    if table.time_column is None or not tables.exists(table.name):
        return False
    earlier = pl.col(table.time_column) < interval.start
    return tables.scan(table.name).filter(earlier).head(1).collect().height > 0
