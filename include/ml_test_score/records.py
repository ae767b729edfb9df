"""All that is on record of one version and of its use case, as the tests of the rubric read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.alarms.records import Alarm
from include.experiments.runs import Training
from include.monitoring.overview.series import WindowFacts
from include.release.ledger import Entry
from include.spec import UseCase

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Review:
    """Who else saw a commit before it counted, by git: `reviewers` are those of its trailers
    (`Reviewed-by`, `Approved-by`, `Acked-by`) or the committer of the merge that brought it in,
    without its author. `committed_at` is its time.
    """

    committed_at: datetime
    reviewers: tuple[str, ...] = ()


@dataclass(frozen=True)
class JUnitRun:
    """A JUnit file that a run of the tests left: the commit that was tested, and the tests that
    passed and that failed, by their full names.
    """

    file: str
    commit: str
    passed: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Pipeline:
    """A deployed bundle that had run end to end, there or in the environment before."""

    version: str
    environment: str
    at: str


@dataclass(frozen=True)
class Sent:
    """How far a place is to which alarms are sent."""

    name: str
    notices: int


@dataclass(frozen=True)
class Records:
    """What is there of a version.

    `use_case` is the specification that it was trained by, `training` its run; `former` are the
    registered trainings before it, the oldest first, with `former_inputs` of each. `gates` are the
    rows of `gates.json`, `trials` those of `trials.json`, `attributions` those of
    `attributions.json`, `explained` the number of rows in `attribution_rows.json`; `validation` is
    the verdict on its training set. `ledger` are the rows of the use case, the oldest first, of
    every version. `windows` are all monitored windows, `findings` and `parity` (the largest
    difference between a score that was answered and the same one computed offline) those of the
    windows that this version scored. `reproduced` is the outcome of `flightdeck reproduce` by
    version, `seconds` how long each training ran.
    """

    use_case: UseCase
    version: int
    training: Training
    former: tuple[Training, ...] = ()
    former_inputs: Mapping[int, frozenset[str]] = field(default_factory=dict)
    review: Review | None = None
    gates: tuple[Row, ...] = ()
    trials: tuple[Row, ...] = ()
    attributions: tuple[Row, ...] = ()
    explained: int = 0
    validation: Row | None = None
    ledger: tuple[Entry, ...] = ()
    windows: tuple[WindowFacts, ...] = ()
    findings: tuple[Row, ...] = ()
    parity: tuple[float, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    sent: tuple[Sent, ...] = ()
    reproduced: Mapping[int, str] = field(default_factory=dict)
    pipelines: tuple[Pipeline, ...] = ()
    junit: tuple[JUnitRun, ...] = ()
    seconds: Mapping[int, float] = field(default_factory=dict)

    @property
    def own_windows(self) -> tuple[WindowFacts, ...]:
        """The windows that this version scored, the oldest first."""
        return tuple(window for window in self.windows if window.version == self.version)

    @property
    def own_rows(self) -> tuple[Entry, ...]:
        """The ledger's rows about this version, the oldest first."""
        return tuple(entry for entry in self.ledger if entry.version == self.version)

    def events(self, *names: str) -> tuple[Entry, ...]:
        """The ledger's rows about this version of these kinds."""
        return tuple(entry for entry in self.own_rows if entry.event in names)

    def gate(self, *names: str) -> tuple[Row, ...]:
        """The rows of these gates that judged something."""
        return tuple(row for row in self.gates if row["gate"] in names and is_judged(row))

    def checked(self, *names: str) -> tuple[Row, ...]:
        """The findings of these checks of monitoring that judged something."""
        return tuple(
            row for row in self.findings if row["check"] in names and row["outcome"] != "not judged"
        )

    @property
    def promoted_at(self) -> datetime | None:
        """When it was put into service last."""
        rows = self.events("promoted")
        return rows[-1].recorded_at if rows else None

    @property
    def age(self) -> timedelta | None:
        """From the end of its data to the end of the newest window that it scored."""
        windows = self.own_windows
        if not windows:
            return None
        return windows[-1].interval.end - datetime.fromisoformat(self.training.interval_end)

    def tests_of_commit(self) -> tuple[JUnitRun, ...]:
        """The runs of the tests on the very commit that trained it."""
        return tuple(run for run in self.junit if run.commit == self.training.commit)


def is_judged(row: Row) -> bool:
    """Whether a gate's row decided something: one that was not compared has nothing observed."""
    return row.get("observed") is not None


def is_passed(rows: Iterable[Row]) -> bool:
    """Whether every row of a gate passed."""
    return all(bool(row["passed"]) for row in rows)
