"""How the versions of a use case that were put into service have done there: the newest numbers of
each, with intervals, beside what its test split promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.monitoring.overview.marks import RELEASES
from include.monitoring.overview.series import Measured, WindowFacts, metric_name, read_series
from include.release.ledger import Entry, Ledger
from include.release.ledger.traffic import traffic_of
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

FORMER, UNRELEASED = "former", "not by the ledger"


@dataclass(frozen=True)
class DeployedVersion:
    """One version, and what it did in service.

    `role` is champion, challenger or shadow while it answers, at `share` of the rows, and former
    afterwards; since and until when it was champion last, by the ledger. Of the windows that it
    scored, `windows` many with `rows` rows and `labelled` labels, `metric` is the headline metric
    of the newest with labels, which begins at `measured_at`, and `estimated` the newest estimate.
    `before` is the metric of its test split, `alarmed` the number of windows that alarmed.
    """

    use_case: str
    version: int
    role: str
    share: float
    since: datetime | None
    until: datetime | None
    windows: int
    rows: int
    labelled: int
    metric_name: str
    metric: Measured | None
    measured_at: datetime | None
    estimated: Measured | None
    before: float | None
    verdict: str | None
    alarmed: int


def deployed_versions(settings: Settings, use_case: UseCase) -> list[DeployedVersion]:
    """Every version that answers, was in service or scored a monitored window; the newest first.

    Raises `FlightdeckError` where ledger or tables cannot be read.
    """
    windows = read_series(use_case, TableStore(settings.tables_uri)).windows
    return performance_of(settings, use_case, windows)


def performance_of(
    settings: Settings, use_case: UseCase, windows: Sequence[WindowFacts]
) -> list[DeployedVersion]:
    """The same from windows that were read already."""
    ledger = Ledger(settings)
    terms = _terms([row for row in ledger.rows(use_case.name) if row.event in RELEASES])
    traffic = ledger.traffic(use_case.name)
    arms = {} if traffic is None else {arm.version: (arm.role, arm.share) for arm in traffic.arms}
    numbers = {*terms, *arms, *(window.version for window in windows)}
    return [
        _deployed(
            use_case,
            number,
            arms.get(number, (FORMER if number in terms else UNRELEASED, 0.0)),
            terms.get(number, (None, None)),
            [window for window in windows if window.version == number],
        )
        for number in sorted(numbers, reverse=True)
    ]


Term = tuple[datetime | None, datetime | None]


def _terms(rows: Sequence[Entry]) -> dict[int, Term]:
    """Since and until when each version was champion last; None for until where it still is."""
    terms: dict[int, Term] = {}
    before: int | None = None
    for place, row in enumerate(rows):
        traffic = traffic_of(rows[: place + 1])
        arm = None if traffic is None else traffic.champion
        now = None if arm is None else arm.version
        if now == before:
            continue
        if before is not None:
            terms[before] = (terms[before][0], row.recorded_at)
        if now is not None:
            terms[now] = (row.recorded_at, None)
        before = now
    return terms


def _deployed(
    use_case: UseCase,
    number: int,
    arm: tuple[str, float],
    term: Term,
    windows: Sequence[WindowFacts],
) -> DeployedVersion:
    labelled = next((item for item in reversed(windows) if item.metric is not None), None)
    estimates = (item.estimated for item in reversed(windows) if item.estimated is not None)
    promises = (item.before for item in reversed(windows) if item.before is not None)
    return DeployedVersion(
        use_case=use_case.name,
        version=number,
        role=arm[0],
        share=arm[1],
        since=term[0],
        until=term[1],
        windows=len(windows),
        rows=sum(item.rows for item in windows),
        labelled=sum(item.labelled for item in windows),
        metric_name=metric_name(use_case),
        metric=None if labelled is None else labelled.metric,
        measured_at=None if labelled is None else labelled.interval.start,
        estimated=next(estimates, None),
        before=next(promises, None),
        verdict=windows[-1].verdict if windows else None,
        alarmed=sum(item.alarm for item in windows),
    )
