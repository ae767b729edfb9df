"""All that the page of a use case shows, read from tables, ledger and alarms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from include.monitoring.overview.marks import Mark, Records, marks_of, read_records
from include.monitoring.overview.series import Series, read_series
from include.monitoring.overview.versions import DeployedVersion, performance_of
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore


@dataclass(frozen=True)
class Facts:
    """All that the page shows; `versions` are those that serve or did, the newest first."""

    use_case: UseCase
    series: Series
    records: Records
    versions: tuple[DeployedVersion, ...] = ()

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """What charts mark."""
        return marks_of(self.series.windows, self.records)


def read_facts(settings: Settings, use_case: UseCase) -> Facts:
    """What tables, ledger and alarms hold of the use case."""
    series = read_series(use_case, TableStore(settings.tables_uri))
    return Facts(
        use_case,
        series,
        read_records(settings, use_case.name),
        tuple(performance_of(settings, use_case, series.windows)),
    )
