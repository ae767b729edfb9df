"""What a check of monitoring looks at, and what it is: a pure function from a window to findings.

A finding's `subject` is its check's name. A check that has too little to decide on says so in a
finding that is not judged; it neither refuses nor clears.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import JsonValue

from include.monitoring.cost import Cost
from include.problems.base import ScoreKind
from include.spec import Monitoring
from include.stats.two_samples import Sample
from include.verdict import Finding

SCORE = "score"


@dataclass(frozen=True)
class ColumnSchema:
    """A column as its values show it: `kind` is number, text, truth or time.

    `shares` are those of a text's values, empty where it has too many to be a category; `low` and
    `high` are None of anything but numbers.
    """

    kind: str
    null_share: float
    shares: Mapping[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Schema:
    """The columns of some rows, by name."""

    columns: Mapping[str, ColumnSchema]
    rows: int


@dataclass(frozen=True)
class Side:
    """Rows of one window, or of the training data.

    `sample` holds the model's inputs and its score (`score`). `scores` and `labels`, float64 of
    shape (rows,), are the answer and what came true, NaN where that is not known; `delays`
    the hours after which it was. `losses`, shape (rows,), are what releases compare versions by,
    NaN where no label is. `groups` are texts by column, `ids` the rows' names.
    """

    sample: Sample
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    labels: np.ndarray = field(default_factory=lambda: np.empty(0))
    delays: np.ndarray = field(default_factory=lambda: np.empty(0))
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    ids: np.ndarray = field(default_factory=lambda: np.empty(0))
    schema: Schema | None = None

    @property
    def rows(self) -> int:
        """How many."""
        return self.sample.rows

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label; boolean of shape (rows,)."""
        return np.asarray(np.isfinite(self.labels))


@dataclass(frozen=True)
class Attributed:
    """What made the scores of a sample of rows: `values` are the contributions of each row's
    inputs, float64 of shape (rows, inputs), by `method`; `blocks`, shape (rows,), as in a sample.
    """

    inputs: tuple[str, ...]
    values: np.ndarray
    blocks: np.ndarray
    method: str


@dataclass(frozen=True)
class Before:
    """The columns that moved in each of the windows before, the newest last, and those that moved
    by `drift_effect`.
    """

    moved: tuple[frozenset[str], ...] = ()
    far: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True)
class Window:
    """What one report judges: the serving rows of a window against the reference.

    `earlier` are the windows before, the newest last; `seasonal` the rows of the same season
    before, where one is declared; `matured` are the windows before that the same
    version scored, with the labels that have come by now, the newest last.
    `attributed` are the contributions of both sides, serving first, where the model can be
    explained. `before` is what the earlier windows found. `threshold` is the score from which on
    the answer is positive, `baseline` the model's own metrics on its test split, `score_kind` what
    its answers are. `operation` is the interval's row of `<use_case>/serving_metrics`,
    `throughput_before` the rows a second of the intervals before, `costs` what the endpoint's
    intervals up to this one cost.
    """

    serving: Side
    reference: Side
    limits: Monitoring
    earlier: tuple[Sample, ...] = ()
    seasonal: Sample | None = None
    matured: tuple[Side, ...] = ()
    attributed: tuple[Attributed, Attributed] | None = None
    before: Before = Before()
    operation: Mapping[str, Any] | None = None
    throughput_before: tuple[float, ...] = ()
    costs: tuple[Cost, ...] = ()
    threshold: float = 0.5
    baseline: Mapping[str, float] = field(default_factory=dict)
    score_kind: ScoreKind = "probability"
    seed: int = 0


Check = Callable[[Window], list[Finding]]


def not_judged(rule: str, subject: str, why: str, observed: float | None = None) -> Finding:
    """A question that was left open, and why: a phrase."""
    return Finding(
        rule=rule, subject=subject, observed=observed, passed=True, judged=False, reason=why
    )


def measured(
    value: float, low: float, high: float, *, before: float | None = None
) -> dict[str, JsonValue]:
    """A number with the bounds of its interval, and what it was on the test split, as a finding
    keeps them; what is not finite is left out.
    """
    numbers = {"value": value, "low": low, "high": high, "before": before}
    return {
        name: float(number)
        for name, number in numbers.items()
        if number is not None and math.isfinite(number)
    }


def too_few(window: Window, subject: str) -> Finding | None:
    """Why so few rows are not judged; None where there are enough."""
    rows, least = min(window.serving.rows, window.reference.rows), window.limits.minimum_rows
    if rows >= least:
        return None
    return not_judged(
        "minimum_rows", subject, f"{rows} rows are fewer than the minimum of {least}", rows
    )
