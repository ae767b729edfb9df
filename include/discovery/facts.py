"""What is on record of the data: source tables, feature views and data sets, from tables, reports
and declarations alone. MLflow is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from include.discovery.columns import (
    ColumnFacts,
    Shape,
    hidden_because,
    hidden_feature,
    readers,
    sensitivity_of,
    uses_of_column,
    uses_of_feature,
)
from include.discovery.distribution import most_changed, newest, picture_of, shapes_of
from include.errors import SpecError
from include.features.declared import described_features
from include.features.statistics import read_statistics
from include.governance.data_catalogue import details, models_of, overview
from include.interval import Interval
from include.quality.published import Statistics
from include.quality.published import read as read_published
from include.reports import read_report
from include.settings import Settings
from include.spec import Column, FeatureTable, Table, UseCase
from include.spec.base import suggestion
from include.tables.store import TableStore

EVERY = 10**6


@dataclass(frozen=True)
class Refused:
    """An interval that was refused: which rules broke, and whether it was published later."""

    label: str
    rules: tuple[str, ...]
    published_since: bool


@dataclass(frozen=True)
class Source:
    """A source table or a feature view.

    `rows` is what its table holds now, None where there is none; `intervals` are those that are
    published (of a view: computed), in order.
    """

    name: str
    kind: str
    description: str
    owner: str
    use_case: str
    read_by: tuple[str, ...]
    sensitivity: str
    licences: tuple[str, ...]
    keys: tuple[str, ...]
    rows: int | None
    intervals: tuple[Interval, ...]
    refused: tuple[Refused, ...]
    models: tuple[str, ...]
    columns: tuple[ColumnFacts, ...]

    @property
    def until(self) -> datetime | None:
        """Up to when there are rows: the end of the newest interval."""
        return max((part.end for part in self.intervals), default=None)

    @property
    def gaps(self) -> tuple[Interval, ...]:
        """What lies between two intervals and belongs to neither."""
        gaps, reached = [], None
        for part in self.intervals:
            if reached is not None and part.start > reached:
                gaps.append(Interval(reached, part.start))
            reached = part.end if reached is None else max(reached, part.end)
        return tuple(gaps)


@dataclass(frozen=True)
class Catalogue:
    """All that the page shows; `unread` says which use cases could not be loaded, and why."""

    data_sets: tuple[Mapping[str, Any], ...]
    tables: tuple[Source, ...]
    views: tuple[Source, ...]
    unread: tuple[str, ...] = ()


def read_catalogue(
    settings: Settings,
    valid: Mapping[str, UseCase],
    names: Sequence[str] = (),
    unread: Iterable[str] = (),
) -> Catalogue:
    """Everything, or what belongs to the use cases, data sets, tables and views named.

    Raises `SpecError` with what is near for a name of none of them.
    """
    tables, cases = TableStore(settings.tables_uri), list(valid.values())
    sets = [details(tables, cases, row["name"]) | {"entry": row} for row in overview(tables, cases)]
    chosen = _Chosen(cases, sets, names)
    return Catalogue(
        tuple(part for part in sets if chosen.data_set(part)),
        tuple(
            _table(settings, tables, cases, owner, table)
            for owner in cases
            for table in owner.own_tables
            if chosen.of_use_case(owner, table.name)
        ),
        tuple(
            _view(settings, tables, cases, owner, part)
            for owner in cases
            for part in owner.own_feature_tables
            if chosen.of_use_case(owner, part.view)
        ),
        tuple(unread),
    )


class _Chosen:
    """Which parts are shown; all of them where no name is passed."""

    def __init__(
        self, cases: Sequence[UseCase], sets: Sequence[Mapping[str, Any]], names: Sequence[str]
    ) -> None:
        self.names = set(names)
        valid = {case.name for case in cases} | {part["name"] for part in sets}
        for case in cases:
            valid |= {part.name for part in case.tables}
            valid |= {part.view for part in case.feature_tables}
        for name in names:
            if name not in valid:
                raise SpecError(
                    f"There is no use case, data set, source table or feature view"
                    f" {name!r}{suggestion(name, sorted(valid))}"
                )

    def data_set(self, part: Mapping[str, Any]) -> bool:
        """By its own name or that of a use case that trains on it."""
        return not self.names or bool(self.names & {part["name"], *part["used_by"]})

    def of_use_case(self, case: UseCase, name: str) -> bool:
        """By its own name or that of the use case that writes it."""
        return not self.names or bool(self.names & {case.name, name})


def _table(
    settings: Settings, tables: TableStore, cases: Sequence[UseCase], owner: UseCase, table: Table
) -> Source:
    using = readers(cases, table.name)
    published = read_published(tables, owner, table.name)
    return Source(
        table.name,
        "source table",
        table.description,
        owner.owner,
        owner.name,
        tuple(case.name for case in using),
        sensitivity_of(using),
        _licences(using),
        table.key,
        _rows(tables, table.name),
        tuple(part.interval for part in published),
        _refused(settings, tables, owner, table, published),
        tuple(models_of(tables, "table", table.name)),
        tuple(_column(using, table, column, published) for column in table.columns),
    )


def _column(
    cases: Sequence[UseCase], table: Table, column: Column, published: Sequence[Statistics]
) -> ColumnFacts:
    profiles = [
        (part.interval, part.profiles[column.name])
        for part in published
        if column.name in part.profiles
    ]
    hidden = hidden_because(cases, table, column)
    return ColumnFacts(
        column.name,
        column.type,
        column.description,
        uses_of_column(cases, table.name, column.name),
        hidden,
        shapes_of(profiles, hidden=bool(hidden)),
        None if hidden else picture_of(profiles),
        "" if hidden else most_changed(profiles),
    )


def _view(
    settings: Settings,
    tables: TableStore,
    cases: Sequence[UseCase],
    owner: UseCase,
    part: FeatureTable,
) -> Source:
    using = [case for case in cases if any(item.view == part.view for item in case.feature_tables)]
    statistics = read_statistics(tables, part.view, EVERY)
    features = described_features(settings).get(part.view, {})
    names = list(dict.fromkeys([*features, *statistics["feature"]]))
    intervals = statistics.select("interval_start", "interval_end").unique().sort("interval_start")
    return Source(
        part.view,
        "feature view",
        f"Computed by {owner.name} into {part.table}.",
        owner.owner,
        owner.name,
        tuple(case.name for case in using),
        sensitivity_of(using),
        _licences(using),
        (),
        _rows(tables, part.table),
        tuple(Interval(start, end) for start, end in intervals.iter_rows()),
        (),
        tuple(models_of(tables, "table", part.table)),
        tuple(
            _feature(
                name,
                features.get(name, ("not defined any more", "")),
                statistics.filter(pl.col("feature") == name),
                uses_of_feature(using, part.view, name),
                hidden_feature(using, name),
            )
            for name in names
        ),
    )


def _feature(
    name: str,
    declared: tuple[str, str],
    rows: pl.DataFrame,
    used_by: tuple[str, ...],
    hidden: str,
) -> ColumnFacts:
    recorded = rows.to_dicts()
    shapes = tuple(
        Shape(
            row["interval_start"],
            row["interval_end"],
            row["rows"],
            row["nulls"],
            *(None if hidden else row[name] for name in ("mean", "q05", "q95")),
        )
        for row in recorded
    )
    picture = None if hidden or not recorded else newest(recorded[-1])
    return ColumnFacts(name, declared[0], declared[1], used_by, hidden, shapes, picture)


def _licences(cases: Iterable[UseCase]) -> tuple[str, ...]:
    return tuple(sorted({case.training_data.licence for case in cases} - {""}))


def _rows(tables: TableStore, name: str) -> int | None:
    if not tables.exists(name):
        return None
    return int(tables.scan(name).select(pl.len()).collect().item())


def _refused(
    settings: Settings,
    tables: TableStore,
    owner: UseCase,
    table: Table,
    published: Sequence[Statistics],
) -> tuple[Refused, ...]:
    """What was put aside of a table, and by which rules; of one that was published since, its last
    verdict is another.
    """
    there = {part.interval.label for part in published}
    folder = f"quarantine/{table.name.removeprefix('raw/')}"
    refused = []
    for name in tables.below(folder):
        label = name.rpartition("/")[2]
        report = read_report(settings, f"validation/{owner.name}/{label}/validation.json")
        failures = [] if report is None else json.loads(report).get("failures", [])
        rules = [
            f"{part['column']}: {part['rule']}" if part.get("column") else str(part["rule"])
            for part in failures
            if part.get("table") == table.name
        ]
        refused.append(Refused(label, tuple(dict.fromkeys(rules)), label in there))
    return tuple(refused)
