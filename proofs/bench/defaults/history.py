"""The intervals of a data set as deliveries: read through the source that the scaffold declares,
judged as an ingestion judges them, and published for the next ones to be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import polars as pl

from cli.authoring.measured import use_case_of, whole_intervals
from cli.authoring.new_use_case import propose
from include.interval import Interval
from include.quality.delivery_verdict import judge_table
from include.quality.landing import declared_columns, write_rows
from include.quality.published import describe_table, record
from include.settings import Settings
from include.sources.read import read_table
from include.spec import ParquetSource, UseCase
from include.steps import RunInfo, StepContext
from include.tables.casting import cast_frame
from include.tables.store import TableStore
from include.verdict import Finding
from proofs.bench.defaults.sets import DataSetCase

Frames = Mapping[str, pl.DataFrame]
Broken = frozenset[tuple[str, str, str]]
"""The rules that a delivery breaks, each as table, column and name."""


def proposed_use_case(case: DataSetCase, rows: pl.DataFrame, folder: Path) -> UseCase:
    """The use case that the scaffold writes for the rows, which lie below `folder` afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.parquet"
    rows.write_parquet(path)
    proposed = propose(
        case.name,
        rows,
        ParquetSource(path=str(path)),
        {"path": str(path)},
        label=case.label,
        time=case.time,
        key=case.key,
        entity=case.entity,
    )
    return use_case_of(proposed.spec)


@dataclass(frozen=True)
class History:
    """A use case's deliveries, and the tables in which those before the present one lie."""

    use_case: UseCase
    settings: Settings

    @property
    def tables(self) -> TableStore:
        """What was published."""
        return TableStore(self.settings.tables_uri)

    @property
    def intervals(self) -> list[Interval]:
        """The intervals that the rows fill, oldest first."""
        return whole_intervals(self.use_case)

    def deliver(self, interval: Interval) -> dict[str, pl.DataFrame]:
        """The rows of every table as the source gives them."""
        none = ModuleType("data")
        return {
            table.name: read_table(self.use_case, table, interval, 1.0, none)
            for table in self.use_case.own_tables
        }

    def judge(self, frames: Frames, interval: Interval) -> list[Finding]:
        """The rules that the rows of these tables break."""
        run = RunInfo(process="features", run_id="bench")
        context = StepContext(self.use_case, self.settings, interval, run)
        judged = [
            judge_table(context, self.tables, table, frames[table.name], None)
            for table in self.use_case.own_tables
            if table.name in frames
        ]
        return [failure for part in judged for failure in part.failures]

    def publish(self, frames: Frames, interval: Interval) -> None:
        """Make them the interval's published rows, with their statistics."""
        described = []
        for table in self.use_case.own_tables:
            rows = cast_frame(frames[table.name], declared_columns(self.use_case, table)).frame
            rows = rows.select(column.name for column in table.columns)
            write_rows(self.tables, table.name, table, rows, interval)
            described.append(describe_table(table, rows, interval))
        record(self.tables, self.use_case, described)


def broken(failures: Sequence[Finding]) -> Broken:
    """Which rules, without their figures."""
    return frozenset((item.subject, item.part, item.rule) for item in failures)
