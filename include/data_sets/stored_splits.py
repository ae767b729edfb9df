"""The splits of a snapshot where they lie: read in parts of bounded size, never as a whole unless
somebody asks for a split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from include.data_sets.snapshot import SnapshotReference
from include.data_sets.split import SPLITS, split_conditions
from include.spec import UseCase
from include.tables.remote import reaching
from include.tables.store import TIMESTAMP, TableStore

BATCH_ROWS = 250_000
NEWEST = "__newest_of_group"


class TimeRange(NamedTuple):
    """A part of a split: its rows lie from `start` on and before `end` (None: to the last)."""

    start: datetime
    end: datetime | None
    rows: int


@dataclass(frozen=True, eq=False)
class StoredSplits(Mapping[str, pl.DataFrame]):
    """A snapshot's splits at their table's version.

    As a mapping it reads a split's frame, sorted by event time and id, anew at every access; that
    the rows are those that were recorded is checked by whoever reads the whole
    (`include.data_sets.snapshot.read`), as the run's earlier steps do. The parts of a split follow
    each other in time and hold about `batch_rows` rows, rows of one moment together: the same rows
    in the same order however the table's files are cut.
    """

    use_case: UseCase
    tables_uri: str
    table: str
    version: int
    boundaries: Mapping[str, str]
    batch_rows: int = BATCH_ROWS

    @classmethod
    def of(
        cls,
        use_case: UseCase,
        tables_uri: str,
        snapshot: SnapshotReference,
        boundaries: Mapping[str, str],
    ) -> StoredSplits:
        """The splits of a recorded snapshot."""
        return cls(use_case, tables_uri, snapshot.name, snapshot.version, dict(boundaries))

    def __getitem__(self, split: str) -> pl.DataFrame:
        return self.part(split)

    def __iter__(self) -> Iterator[str]:
        return iter(SPLITS)

    def __len__(self) -> int:
        return len(SPLITS)

    @property
    def columns(self) -> list[str]:
        """The snapshot's columns."""
        return self._scan().collect_schema().names()

    def ranges(self, split: str) -> list[TimeRange]:
        """The parts of a split, in time; their event times alone are read for it."""
        times = self.column(split, self.use_case.event_time).sort()
        if times.is_empty():
            return []
        starts = times.gather_every(self.batch_rows).unique(maintain_order=True)
        places = [*times.search_sorted(starts, "left").to_list(), len(times)]
        moments = [*starts.to_list(), None]
        return [
            TimeRange(moments[place], moments[place + 1], places[place + 1] - places[place])
            for place in range(len(starts))
        ]

    def part(
        self, split: str, within: TimeRange | None = None, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The split's rows in a range (None: all), sorted by event time and id."""
        order = [self.use_case.event_time, self.use_case.id_column]
        names = self.columns if columns is None else list(columns)
        read = self._rows(split, within).select(list(dict.fromkeys([*names, *order])))
        with reaching(self.tables_uri):
            return read.collect().sort(order).select(names)

    def batches(self, split: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The split's parts, one after the other."""
        for within in self.ranges(split):
            yield self.part(split, within, columns)

    def column(self, split: str, name: str) -> pl.Series:
        """One column of a split, its rows in any order."""
        with reaching(self.tables_uri):
            return self._rows(split, None).select(name).collect()[name]

    def rows_at(self, split: str, places: Sequence[int]) -> pl.DataFrame:
        """The rows at these ascending places of the sorted split; one part is in memory at a
        time.
        """
        chosen, first = [], 0
        for within in self.ranges(split):
            inside = [place - first for place in places if first <= place < first + within.rows]
            if inside:
                chosen.append(self.part(split, within)[inside])
            first += within.rows
        return pl.concat(chosen)

    def newest(self, split: str, rows: int) -> pl.DataFrame:
        """The last rows of the sorted split, at most that many."""
        total = sum(within.rows for within in self.ranges(split))
        return self.rows_at(split, np.arange(max(0, total - rows), total).tolist())

    def _scan(self) -> pl.LazyFrame:
        return TableStore(self.tables_uri).scan(self.table, version=self.version)

    def _rows(self, split: str, within: TimeRange | None) -> pl.LazyFrame:
        time, group = pl.col(self.use_case.event_time), self.use_case.training.group_by
        rows, placed_by = self._scan(), time
        if within is not None:
            rows = rows.filter(time >= pl.lit(within.start, dtype=TIMESTAMP))
            if within.end is not None:
                rows = rows.filter(time < pl.lit(within.end, dtype=TIMESTAMP))
        if group is not None:
            newest = self._scan().group_by(group).agg(time.max().alias(NEWEST))
            rows = rows.join(newest, on=group, how="left")
            placed_by = pl.coalesce(pl.col(NEWEST), time)
        return rows.filter(split_conditions(placed_by, self.boundaries)[split])


def newest_rows(splits: Mapping[str, pl.DataFrame], rows: int) -> pl.DataFrame:
    """The last rows of the train split, at most that many, without reading the others where they
    are stored.
    """
    if isinstance(splits, StoredSplits):
        return splits.newest("train", rows)
    return splits["train"].tail(rows)
