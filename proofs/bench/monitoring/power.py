"""How soon a planted change of one of twenty inputs alarms, in windows, beside Evidently and PSI.

The shipped checks run on the changed column alone, with the level that twenty inputs leave it. The
others run as they are shipped, and once more with the limit that gives them as many false alarms on
twenty undrifted inputs as ours may have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.distribution import distribution
from include.monitoring.checks.schema_skew import schema_skew
from include.spec import Monitoring
from include.stats.two_samples import Sample, threshold
from proofs.bench.monitoring.others import Tested, evidently, plain_psi
from proofs.bench.monitoring.world import (
    INPUTS,
    SHIFTS,
    planted,
    sample,
)

WINDOW_ROWS, REFERENCE_ROWS = 1_000, 5_000
MOST_WINDOWS = 12
FALSE_ALARMS = 0.01
OTHERS: Mapping[str, Callable[[Sample, Sample, str], Tested]] = {
    "Evidently": evidently,
    "PSI": plain_psi,
}
Limits = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Delays:
    """Windows until the first alarm, by method; `MOST_WINDOWS` + 1 where none came."""

    windows: Mapping[str, list[int]]


def undrifted_statistics(method: str, column: str, count: int, seed: int) -> np.ndarray:
    """The statistic of undrifted windows of a column, shape (count,)."""
    random = np.random.default_rng([seed, len(method), len(column)])
    values = np.empty(count)
    for place in range(count):
        serving, reference = (
            _one(sample(rows, random, inputs=1), column) for rows in (WINDOW_ROWS, REFERENCE_ROWS)
        )
        values[place] = OTHERS[method](serving, reference, column).statistic
    return values


def equal_limit(statistics: np.ndarray) -> float:
    """The limit at which twenty undrifted inputs give `FALSE_ALARMS` alarms a report."""
    return float(np.quantile(statistics, 1.0 - FALSE_ALARMS / INPUTS))


def delays(name: str, size: float, runs: int, seed: int, limits: Limits) -> Delays:
    """So many runs of a planted change that stays from the first window on."""
    shift = SHIFTS[name]
    random = np.random.default_rng([seed, round(1e4 * size), len(name)])
    methods = ("ours", *OTHERS, *(f"{other}, equal" for other in OTHERS))
    windows: dict[str, list[int]] = {method: [] for method in methods}
    for run in range(runs):
        first = dict.fromkeys(methods, MOST_WINDOWS + 1)
        reference = _one(sample(REFERENCE_ROWS, random, inputs=1), shift.column)
        earlier = [_one(sample(WINDOW_ROWS, random, inputs=1), shift.column) for _ in range(2)]
        for number in range(1, MOST_WINDOWS + 1):
            fresh = _one(sample(WINDOW_ROWS, random, inputs=1), shift.column)
            serving = planted(fresh, shift, size, random)
            alarms = _alarms(serving, reference, shift.column, limits)
            if first["ours"] > MOST_WINDOWS:
                alarms["ours"] = _ours(serving, reference, earlier, seed=run)
            for method, alarm in alarms.items():
                if alarm:
                    first[method] = min(first[method], number)
            earlier = [*earlier[1:], serving]
            if max(first.values()) <= MOST_WINDOWS:
                break
        for method in methods:
            windows[method].append(first[method])
    return Delays(windows)


def _alarms(serving: Sample, reference: Sample, column: str, limits: Limits) -> dict[str, bool]:
    result: dict[str, bool] = {}
    for name, method in OTHERS.items():
        tested = method(serving, reference, column)
        result[name] = tested.drifted
        result[f"{name}, equal"] = tested.statistic > limits[name, column]
    return result


def _ours(serving: Sample, reference: Sample, earlier: list[Sample], *, seed: int) -> bool:
    window = Window(
        Side(serving), Side(reference), one_of_twenty(), earlier=tuple(earlier), seed=seed
    )
    findings = [*schema_skew(window), *distribution(window)]
    return any(not finding.passed for finding in findings)


def one_of_twenty() -> Monitoring:
    """The limits with the level that a single column has among twenty, compared twice each."""
    usual = Monitoring(minimum_rows=WINDOW_ROWS)
    level = usual.false_discovery * threshold(1.0, 2 * INPUTS) / threshold(1.0, 2)
    return usual.model_copy(update={"false_discovery": level})


def _one(whole: Sample, column: str) -> Sample:
    return Sample({column: whole.columns[column]}, whole.categories & {column}, whole.blocks)
