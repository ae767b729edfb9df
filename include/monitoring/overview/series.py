"""What monitoring has written of a use case, window by window, as numbers that can be drawn.

Nothing is computed anew: a number that monitoring did not write is None, and a window without it is
a gap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from include.interval import Interval
from include.monitoring.checks.effectiveness import EFFECTIVENESS
from include.monitoring.checks.estimate import ESTIMATE
from include.monitoring.serving_metrics import metrics_table
from include.problems.registry import strategy_of
from include.spec import UseCase
from include.tables.store import TableStore

FINDINGS = ("interval_start", "check", "rule", "observed", "detail_json")

SAMPLED = ("moment", "reachable", "total_p99_ms", "server_errors", "requests")
SAME = 0.005
"""Two numbers that are nearer are about the same rows: checks look at a sample of very many."""


@dataclass(frozen=True)
class Measured:
    """A number, and the bounds of its interval where they are there."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class WindowFacts:
    """What is there of one window.

    `metric` is the use case's headline metric where labels have come, `estimated` what it was
    expected to be without them, `before` what it was on the version's own test split, `worst` the
    value from which on it alarms, `error` the estimate less the truth of the same rows. `score` is
    the mean answer, `outcome` what came true of it, `gap` their difference. `drifted_share` is that
    of the inputs; None where drift was not judged.
    """

    interval: Interval
    version: int
    rows: int
    labelled: int
    verdict: str
    alarm: bool
    reasons: tuple[str, ...]
    metric: Measured | None
    estimated: Measured | None
    before: float | None
    worst: float | None
    error: float | None
    score: float | None
    outcome: float | None
    gap: Measured | None
    drifted_share: float | None
    online_rows: int
    report: str | None

    @property
    def middle(self) -> datetime:
        """Where the window's numbers are drawn."""
        return self.interval.start + (self.interval.end - self.interval.start) / 2


@dataclass(frozen=True)
class InputDistance:
    """How far one column was from training in one window; None where it was not judged."""

    interval_start: datetime
    effect: float | None
    drifted: bool


@dataclass(frozen=True)
class Sampled:
    """What the endpoint told of itself until one moment."""

    moment: datetime
    p99_milliseconds: float | None
    failed_share: float | None


@dataclass(frozen=True)
class Series:
    """All windows of a use case, the oldest first; `columns` are its inputs and its score."""

    windows: tuple[WindowFacts, ...] = ()
    columns: Mapping[str, tuple[InputDistance, ...]] = field(default_factory=dict)
    samples: tuple[Sampled, ...] = ()


def read_series(use_case: UseCase, tables: TableStore) -> Series:
    """What the tables hold of the use case; nothing where nothing was monitored."""
    name = f"{use_case.name}/monitoring"
    if not tables.exists(name):
        return Series()
    rows = tables.read(name).sort("interval_start", "interval_end")
    by_window, columns = _findings(use_case, tables), _columns(use_case, tables)
    shares = _shares(use_case, columns)
    windows = tuple(
        _window(use_case, row, by_window.get(row["interval_start"], {}), shares)
        for row in rows.iter_rows(named=True)
    )
    return Series(windows, columns, _samples(use_case, tables))


def metric_name(use_case: UseCase) -> str:
    """The headline metric as people write it."""
    name = strategy_of(use_case).headline_metric
    return name.upper() if name in ("auc", "rmse") else name.capitalize()


Findings = dict[tuple[str, str], tuple[float | None, Mapping[str, float]]]
"""What was observed, and its bounds, by check and rule."""


def _findings(use_case: UseCase, tables: TableStore) -> dict[datetime, Findings]:
    """The findings on worth and estimate by the start of their window."""
    name = f"{use_case.name}/findings"
    if not tables.exists(name):
        return {}
    where = pl.col("check").is_in([EFFECTIVENESS, ESTIMATE]) & (pl.col("part") == "")
    rows = tables.read(name, columns=list(FINDINGS), where=where)
    by_window: dict[datetime, Findings] = {}
    for start, check, rule, observed, detail in rows.select(FINDINGS).iter_rows():
        of_window = by_window.setdefault(start, {})
        of_window[check, rule] = (observed, json.loads(detail or "{}"))
    return by_window


def _columns(use_case: UseCase, tables: TableStore) -> dict[str, tuple[InputDistance, ...]]:
    name = f"{use_case.name}/drift"
    if not tables.exists(name):
        return {}
    rows = tables.read(name).sort("interval_start")
    columns: dict[str, list[InputDistance]] = {}
    for row in rows.iter_rows(named=True):
        distance = InputDistance(row["interval_start"], row.get("effect"), bool(row["drifted"]))
        columns.setdefault(row["column"], []).append(distance)
    return {column: tuple(distances) for column, distances in columns.items()}


def _shares(
    use_case: UseCase, columns: Mapping[str, Sequence[InputDistance]]
) -> dict[datetime, float]:
    """The share of the inputs that have drifted, by the start of the window."""
    names = {item.name for item in use_case.inputs}
    drifted: dict[datetime, list[bool]] = {}
    for column, distances in columns.items():
        for distance in distances if column in names else ():
            drifted.setdefault(distance.interval_start, []).append(distance.drifted)
    return {start: sum(flags) / len(flags) for start, flags in drifted.items()}


def _window(
    use_case: UseCase, row: Mapping[str, Any], findings: Findings, shares: Mapping[datetime, float]
) -> WindowFacts:
    start = row["interval_start"]
    before, worst = _promised(use_case, findings)
    score, outcome = _answers(use_case, row)
    observed, _ = findings.get((ESTIMATE, "error_of_estimate"), (None, {}))
    return WindowFacts(
        interval=Interval(start, row["interval_end"]),
        version=row["model_version"],
        rows=row["rows"] or 0,
        labelled=row["labelled"] or 0,
        verdict=row["verdict"],
        alarm=bool(row["alarm"]),
        reasons=tuple(json.loads(row["reasons_json"] or "[]")),
        metric=_metric(use_case, row, findings),
        estimated=_estimated(use_case, findings),
        before=before,
        worst=worst,
        error=observed,
        score=score,
        outcome=outcome,
        gap=_gap(row, score, outcome, findings),
        drifted_share=shares.get(start) if row["drift"] != "not judged" else None,
        online_rows=row.get("online_rows") or 0,
        report=row.get("report"),
    )


def _metric(use_case: UseCase, row: Mapping[str, Any], findings: Findings) -> Measured | None:
    """As the window's row says it, which late labels correct, with its bounds: those by which the
    alarm was decided.
    """
    name = strategy_of(use_case).headline_metric
    value = _finite(row.get(name))
    if value is None:
        return None
    if row.get("metric_low") is not None:
        return Measured(value, row["metric_low"], row["metric_high"])
    bounds = _bounds(name, findings)  # of a row from before there were bounds in it
    if not math.isclose(bounds.get("value", math.nan), value, abs_tol=SAME):
        return Measured(value)
    return Measured(value, bounds.get("low"), bounds.get("high"))


def _bounds(name: str, findings: Findings) -> Mapping[str, float]:
    """What the check of effectiveness says of the headline metric."""
    rule = "auc_drop" if name == "auc" else name
    _, bounds = findings.get((EFFECTIVENESS, rule), (None, {}))
    return bounds


def _promised(use_case: UseCase, findings: Findings) -> tuple[float | None, float | None]:
    """What the metric was on the test split, and from which value on it alarms."""
    strategy = strategy_of(use_case)
    before = _bounds(strategy.headline_metric, findings).get("before")
    return before, None if before is None else strategy.alarms_at(before)


def _estimated(use_case: UseCase, findings: Findings) -> Measured | None:
    """The estimate of the headline metric; of a root mean square error the root of the estimate of
    its square.
    """
    strategy = strategy_of(use_case)
    if strategy.estimated_metric is None:
        return None
    rule = f"estimated_{strategy.estimated_metric}"
    value, bounds = findings.get((ESTIMATE, rule), (None, {}))
    if value is None:
        return None
    estimate = Measured(value, bounds.get("low"), bounds.get("high"))
    if strategy.estimated_metric == strategy.headline_metric:
        return estimate
    low, high = (None if part is None else _root(part) for part in (estimate.low, estimate.high))
    return Measured(_root(estimate.value), low, high)


def _root(square: float) -> float:
    return math.sqrt(max(square, 0.0))


def _answers(use_case: UseCase, row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The mean answer and what came true: the observed rate, the accuracy of the predicted class,
    or the mean label.
    """
    score, bias = _finite(row.get("mean_score")), _finite(row.get("bias"))
    outcomes = {"probability": "observed_rate", "several": "accuracy", "value": "mean_label"}
    outcome = _finite(row.get(outcomes[strategy_of(use_case).score_kind]))
    if score is None and bias is not None and outcome is not None:
        score = outcome + bias
    return score, outcome


def _gap(
    row: Mapping[str, Any], score: float | None, outcome: float | None, findings: Findings
) -> Measured | None:
    if score is None or outcome is None:
        return None
    gap = score - outcome
    if row.get("gap_low") is not None:
        return Measured(gap, row["gap_low"], row["gap_high"])
    _, bounds = findings.get((EFFECTIVENESS, "calibration_gap"), (None, {}))
    if not math.isclose(bounds.get("value", math.nan), gap, abs_tol=SAME):
        return Measured(gap)
    return Measured(gap, bounds.get("low"), bounds.get("high"))


def _samples(use_case: UseCase, tables: TableStore) -> tuple[Sampled, ...]:
    name = metrics_table(use_case)
    if not tables.exists(name):
        return ()
    rows = tables.read(name, columns=list(SAMPLED), where=pl.col("reachable")).sort("moment")
    return tuple(
        Sampled(
            moment=row["moment"],
            p99_milliseconds=_finite(row["total_p99_ms"]),
            failed_share=row["server_errors"] / row["requests"] if row["requests"] else None,
        )
        for row in rows.iter_rows(named=True)
    )


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
