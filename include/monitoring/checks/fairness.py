"""Fairness over time: do groups get other answers, compared with each other, than in training?

Judged is the change of a group's distance from everybody's rate, of positive answers and, where
labels have come, of the positives that the model finds. Blocks of rows that share a cause are
resampled, and all groups corrected together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from include.monitoring.checks.base import Side, Window, too_few
from include.monitoring.checks.effectiveness import blocks_of
from include.stats.bootstrap import resampled_clusters
from include.stats.two_samples import adjusted
from include.verdict import Finding

FAIRNESS = "fairness"
LEAST_CHANGE = 0.1
"""In probability; the smallest change of a group's distance that refuses."""
FEWEST_ROWS = 100
RESAMPLES = 400


@dataclass(frozen=True)
class Distance:
    """A group's rate less everybody's, and its standard error."""

    value: float
    error: float


def fairness(window: Window) -> list[Finding]:
    """One finding for each group and rate that both sides have enough rows of."""
    names = [name for name in window.serving.groups if name in window.reference.groups]
    if not names or window.score_kind != "probability":
        return []
    few = too_few(window, FAIRNESS)
    if few is not None:
        return [few]
    changes = list(_changes(window, names))
    if not changes:
        return []
    corrected = adjusted(np.array([_p(now, before) for _, _, now, before in changes]))
    return [
        _finding(window, rate, group, now, before, float(p))
        for (rate, group, now, before), p in zip(changes, corrected, strict=True)
    ]


def _changes(window: Window, names: list[str]) -> Iterator[tuple[str, str, Distance, Distance]]:
    for rate in ("positive answers", "positives met"):
        sides = [_rows(side, rate) for side in (window.serving, window.reference)]
        if min(int(rows.sum()) for rows in sides) < window.limits.minimum_rows:
            continue
        for name in names:
            now, before = (
                _distances(side, name, rows, window)
                for side, rows in zip((window.serving, window.reference), sides, strict=True)
            )
            for value in sorted(now.keys() & before.keys()):
                yield rate, f"{name}={value}", now[value], before[value]


def _rows(side: Side, rate: str) -> np.ndarray:
    """The rows that a rate counts: all answers, or those whose label is positive."""
    if rate == "positive answers":
        return np.ones(side.rows, dtype=bool)
    return side.labels == 1 if side.labels.size else np.zeros(side.rows, dtype=bool)


def _distances(side: Side, name: str, rows: np.ndarray, window: Window) -> dict[str, Distance]:
    drawn = resampled_clusters(blocks_of(side)[rows], seed=window.seed, resamples=RESAMPLES)
    if drawn is None:
        return {}
    member, times = drawn
    positive = (side.scores[rows] >= window.threshold).astype(np.float64)
    whole = (times @ np.bincount(member, weights=positive)) / (times @ np.bincount(member))
    result: dict[str, Distance] = {}
    values = side.groups[name][rows]
    for value in np.unique(values):
        mask = values == value
        if mask.sum() < FEWEST_ROWS:
            continue
        count = times.shape[1]
        hits = times @ np.bincount(member[mask], weights=positive[mask], minlength=count)
        many = np.maximum(times @ np.bincount(member[mask], minlength=count), 1.0)
        spread = float((hits / many - whole).std())
        result[str(value)] = Distance(float(positive[mask].mean() - positive.mean()), spread)
    return result


def _p(now: Distance, before: Distance) -> float:
    error = math.hypot(now.error, before.error)
    return math.erfc(abs(now.value - before.value) / error / math.sqrt(2.0)) if error else 1.0


def _finding(
    window: Window, rate: str, group: str, now: Distance, before: Distance, corrected: float
) -> Finding:
    change = abs(now.value - before.value)
    return Finding(
        rule=rate.replace(" ", "_"),
        subject=FAIRNESS,
        part=group,
        observed=change,
        limit=LEAST_CHANGE,
        passed=change <= LEAST_CHANGE or corrected > window.limits.false_discovery,
        reason=(
            f"The rate of {rate} of {group} is {now.value:+.3f} from everybody's, in training it"
            f" was {before.value:+.3f}; corrected p {corrected:.2g}."
        ),
    )
