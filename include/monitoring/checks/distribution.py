"""Distribution: do the inputs and the score still come from where the training data came from?

Each column is compared twice: the window's rows, and those of the last windows together, in which a
small change shows that one window hides. A column has moved when its corrected p-value is at most
`false_discovery` (Benjamini and Yekutieli over all columns and both comparisons, so that it bounds
the whole report), and its effect at least `minimum_effect`. It refuses when it moved in
`persistent_windows` of the last windows, and not merely as it did a season before. It has drifted
when all of that holds with `drift_effect` in the place of `minimum_effect`.

The score is one of the columns, compared with that of the reference's test split: of rows that it
has learned a model is surer than of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from include.monitoring.checks.base import SCORE, Side, Window, not_judged, too_few
from include.spec import Monitoring
from include.stats.two_samples import Comparison, Sample, adjusted, compare, threshold
from include.verdict import Finding

DISTRIBUTION = "distribution"
MOVED = "moved"
"""The rule of a finding about one column."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class Moved:
    """A column's comparison, its corrected p-value and over how many windows it was made."""

    comparison: Comparison
    corrected: float
    windows: int


def distribution(window: Window) -> list[Finding]:
    """One finding about the whole, and one for each column: what it moved by, and how sure that
    is.
    """
    few = too_few(window, DISTRIBUTION)
    if few is not None:
        return [few]
    columns = _compared(list(_sides(window)), window.limits, window.seed)
    if columns is None:
        why = "too few blocks of rows that share a cause for a decision"
        return [not_judged("minimum_blocks", DISTRIBUTION, why)]
    season = _season(window)
    rows = [_finding(window, moved, season) for moved in columns.values()]
    return [_whole(rows, window.limits), *rows]


def moved_columns(findings: Sequence[Finding]) -> frozenset[str]:
    """The columns that moved in this window, persistent or not."""
    return frozenset(
        item.part
        for item in findings
        if item.rule == MOVED and item.subject == DISTRIBUTION and (item.example or {}).get("now")
    )


def together(samples: Sequence[Sample]) -> Sample:
    """The rows of several windows in their order, which have the columns of the last column."""
    last = samples[-1]
    whole = [sample for sample in samples if set(last.columns) <= set(sample.columns)]
    columns = {
        name: np.concatenate([sample.columns[name] for sample in whole]) for name in last.columns
    }
    named = [sample.blocks for sample in whole if sample.blocks is not None]
    if len(named) < len(whole):
        return Sample(columns, last.categories)
    blocks, start = [], 0
    for names in named:
        _, place = np.unique(names, return_inverse=True)
        blocks.append(place + start)
        start += int(place.max(initial=-1)) + 1
    return Sample(columns, last.categories, np.concatenate(blocks))


def _sides(window: Window) -> Iterator[tuple[int, Sample, Sample]]:
    """Over how many windows, their rows, and the reference's."""
    sample, reference = window.serving.sample, window.reference.sample
    yield 1, sample, reference
    answers = [_answers(window.serving, tested=False), _answers(window.reference, tested=True)]
    if SCORE not in sample.columns and min(side.rows for side in answers) >= (
        window.limits.minimum_rows
    ):
        yield 1, answers[0], answers[1]
    recent = _latest(window.earlier, window.limits)
    if recent:
        yield len(recent) + 1, together([*recent, sample]), reference


def _answers(side: Side, *, tested: bool) -> Sample:
    """The scores as a column; of a reference those of its test split, whose labels are there."""
    if len(side.scores) != side.rows:
        return Sample({}, frozenset())
    chosen = side.labelled if tested else np.ones(side.rows, dtype=bool)
    blocks = side.sample.blocks
    return Sample(
        {SCORE: side.scores[chosen]}, frozenset(), None if blocks is None else blocks[chosen]
    )


def _compared(
    sides: Sequence[tuple[int, Sample, Sample]], limits: Monitoring, seed: int
) -> dict[str, Moved] | None:
    """Of each column the comparison that is surer; None where nothing can be decided."""
    tests = sum(len(reference.columns) for _, _, reference in sides)
    smallest = threshold(limits.false_discovery, max(tests, 1))
    compared: list[tuple[int, Comparison]] = []
    for windows, sample, reference in sides:
        comparisons = compare(sample, reference, smallest_p=smallest, seed=seed + windows)
        if comparisons is not None:
            compared += [(windows, item) for item in comparisons.values()]
    if not compared:
        return None
    corrected = adjusted(np.array([item.p for _, item in compared]))
    result: dict[str, Moved] = {}
    for (windows, column), value in zip(compared, corrected, strict=True):
        former = result.get(column.column)
        if former is None or _rank(value, column, limits) < _rank(
            former.corrected, former.comparison, limits
        ):
            result[column.column] = Moved(column, float(value), windows)
    return result


def _rank(corrected: float, column: Comparison, limits: Monitoring) -> tuple[bool, bool, float]:
    """What is surely far comes first: other windows would hide it in their sum."""
    far = corrected <= limits.false_discovery and column.effect >= limits.drift_effect
    return not far, column.effect < limits.minimum_effect, corrected


def _season(window: Window) -> Mapping[str, Comparison]:
    """How the window compares with the same season before; empty where none is declared."""
    if window.seasonal is None or window.seasonal.rows < window.limits.minimum_rows:
        return {}
    smallest = threshold(window.limits.false_discovery, max(len(window.seasonal.columns), 1))
    sample = window.serving.sample
    return compare(sample, window.seasonal, smallest_p=smallest, seed=window.seed) or {}


def _finding(window: Window, moved: Moved, season: Mapping[str, Comparison]) -> Finding:
    column, limits = moved.comparison, window.limits
    sure = moved.corrected <= limits.false_discovery
    now = sure and column.effect >= limits.minimum_effect
    persistent = _persistent(column.column, window.before.moved, now=now, limits=limits)
    far = sure and column.effect >= limits.drift_effect
    seasonal = column.column in season and (
        season[column.column].effect < limits.minimum_effect
        or season[column.column].p > limits.false_discovery
    )
    return Finding(
        rule=MOVED,
        subject=DISTRIBUTION,
        part=column.column,
        observed=column.effect,
        limit=limits.minimum_effect,
        passed=not (now and persistent) or seasonal,
        reason=_reason(moved, now=now, persistent=persistent, seasonal=seasonal),
        example={
            "p": column.p,
            "corrected_p": moved.corrected,
            "windows": moved.windows,
            "now": now,
            "drifted": far
            and not seasonal
            and _persistent(column.column, window.before.far, now=far, limits=limits),
        },
    )


def _persistent(
    column: str, before: Sequence[frozenset[str]], *, now: bool, limits: Monitoring
) -> bool:
    """Whether it was so in enough of the last windows."""
    times = int(now) + sum(column in columns for columns in _latest(before, limits))
    return times >= limits.persistent_windows


def _latest(before: Sequence[Item], limits: Monitoring) -> Sequence[Item]:
    """Of the windows before as many as are judged together with this one."""
    return before[max(0, len(before) - limits.sliding_windows + 1) :]


def _reason(moved: Moved, *, now: bool, persistent: bool, seasonal: bool) -> str:
    column = moved.comparison
    over = "this window" if moved.windows == 1 else f"the last {moved.windows} windows together"
    text = (
        f"{column.column} is a Hellinger distance of {column.effect:.3f} from the training data"
        f" over {over}, corrected p {moved.corrected:.2g}; {100 * column.missing:.1f} % missing, in"
        f" training {100 * column.reference_missing:.1f} %"
    )
    if now and seasonal:
        return f"{text}; it moves as it did a season before."
    if now and not persistent:
        return f"{text}; it moved in too few of the last windows to refuse."
    return f"{text}."


def _whole(rows: Sequence[Finding], limits: Monitoring) -> Finding:
    moved = sorted(
        (row for row in rows if not row.passed), key=lambda row: -float(str(row.observed))
    )
    names = ", ".join(row.part for row in moved[:5]) + (", ..." if len(moved) > 5 else "")
    return Finding(
        rule="moved_columns",
        subject=DISTRIBUTION,
        observed=len(moved),
        limit=0,
        passed=not moved,
        reason=(
            f"{len(moved)} of {len(rows)} columns have moved from the training data"
            f" (false discovery {limits.false_discovery:g}){f': {names}' if names else ''}."
        ),
    )
