"""What was observed of the versions that serve side by side: counts, never judged here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class ArmWindow:
    """What one arm of one plan did: the rows of the inference log that its version answered for.

    `role` is champion, challenger or shadow, `plan` the plan's sequence number, `share` the share
    of the units that the plan gives the arm (0 of a shadow), `rows` all rows that were assigned to
    it. `errors` are rows on which the version failed (another answered, or the score is no number),
    `fallbacks` rows that it scored without all of its features (unknown to the online store, or too
    old), `slow` rows above `Observed.slow_ms`. `p95_ms` is the 95th percentile of its latency, None
    without rows. `scores` counts the scores per bin of the champion's reference, the last bin what
    is no number. `units` are the distinct units behind the rows, None where the log hides them.
    """

    role: str
    version: int
    digest: str
    plan: int
    share: float
    rows: int
    errors: int = 0
    fallbacks: int = 0
    slow: int = 0
    p95_ms: float | None = None
    scores: tuple[int, ...] = ()
    units: int | None = None


@dataclass(frozen=True)
class Clustering:
    """By how much the rows of one unit resemble each other, per count of `ArmWindow`: the design
    effect, at least 1. A unit that asks twenty times and fails each time is one failure; rows that
    are slow in the same second are slow for one reason.
    """

    errors: float = 1.0
    fallbacks: float = 1.0
    slow: float = 1.0
    scores: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """Both arms during one plan. Under a plan that gives the challenger everything, the champion's
    window is the one before it, and `concurrent` is false.
    """

    champion: ArmWindow
    challenger: ArmWindow
    concurrent: bool = True
    clustering: Clustering = Clustering()

    @property
    def share(self) -> float:
        """The challenger's share of the traffic of both, as planned. A shadow scores the rows that
        the champion answers, so half of the rows of both are its own.
        """
        if self.challenger.role == "shadow":
            return 0.5
        total = self.champion.share + self.challenger.share
        return self.challenger.share / total if total else 0.0


@dataclass(frozen=True)
class SliceComparison:
    """Both arms on the rows of one slice: `steps` as those of `Observed`."""

    label: str
    steps: tuple[Comparison, ...]


@dataclass(frozen=True)
class Paired:
    """Rows that both versions scored: how many, how many got another decision (of several classes
    another class), and the mean absolute difference of the scores. Of a regression a decision is
    another one where the scores differ by more than a tenth of the champion's standard deviation.
    """

    rows: int
    different: int
    mean_difference: float


@dataclass(frozen=True)
class MemorySample:
    """The resident memory (bytes) of one endpoint process, and the challenger's rows until then."""

    moment: datetime
    process: str
    resident: int
    rows: int


@dataclass(frozen=True)
class Matured:
    """One arm's outcomes that are known by now, under `metric`: `loss` (of labels; lower is better)
    or `reward` (the application's own number; higher is better).

    `mean` and `variance` (of one outcome) are over `rows` outcomes, `least` and `most` the extremes
    of both arms together; `positive` counts rewards above 0.
    """

    metric: str
    role: str
    rows: int
    mean: float
    variance: float
    least: float = 0.0
    most: float = 1.0
    positive: int = 0


@dataclass(frozen=True)
class Observed:
    """Everything that the analysis of one step of a release looks at.

    `steps` are the comparisons of the rollout's plans so far, the current one last. `strangers` are
    rows of these plans by digest that no arm of their plan has, which prove that something else
    answered than what is measured. `slow_ms` is the latency (milliseconds) that counts as slow,
    decided before the first row; None where the champion had answered nothing. `slices_problem`
    says why the rows could not be cut into slices. `score_edges` are the inner edges of the scores'
    bins.
    """

    use_case: str
    steps: tuple[Comparison, ...]
    slow_ms: float | None = None
    strangers: Mapping[str, int] = field(default_factory=dict)
    slices: tuple[SliceComparison, ...] = ()
    slices_problem: str = ""
    score_edges: tuple[float, ...] = ()
    paired: Paired | None = None
    memory: tuple[MemorySample, ...] = ()
    matured: tuple[Matured, ...] = ()

    @property
    def now(self) -> Comparison:
        """The comparison of the plan in force."""
        return self.steps[-1]

    @property
    def plan(self) -> int:
        """The sequence number of the plan in force."""
        return self.now.challenger.plan
