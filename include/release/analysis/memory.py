"""Does the endpoint's memory grow while the challenger serves?

A process grows when a version is loaded and warms up, and then no more. It leaks where it has grown
by the declared limit, faster than the limit per 10,000 rows, and was still growing in the second
half of the time. The slope is Theil and Sen's (1950, 1968), the median of the slopes of all pairs
of samples, which a single jump does not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median

from include.release.analysis.base import AnalysisInput, too_few
from include.release.analysis.observed import MemorySample
from include.verdict import Finding

MINIMUM_SAMPLES = 6
MEGABYTE = 1e6
LIMIT_ROWS = 10_000
MOST_SAMPLES = 200
STILL_GROWING = 0.25
"""Of the whole growth at least this share must lie in the second half."""


def memory(case: AnalysisInput) -> list[Finding]:
    """The process of the endpoint that grows fastest; a shadow's own is limited where it runs."""
    limit = case.release.analysis.max_memory_growth
    by_process: dict[str, list[MemorySample]] = {}
    for sample in sorted(case.observed.memory, key=lambda item: item.moment):
        by_process.setdefault(sample.process, []).append(sample)
    enough = [part for part in by_process.values() if len(part) >= MINIMUM_SAMPLES]
    if not enough:
        most = max((len(part) for part in by_process.values()), default=0)
        reason = "too few samples of the endpoint's memory"
        return [too_few("memory", case.subject, most, MINIMUM_SAMPLES, reason)]
    worst = max(enough, key=growth_rate)
    rate, growth = growth_rate(worst), _growth(worst)
    fails = rate > limit and growth > limit and _second_half(worst) >= STILL_GROWING * growth
    return [
        Finding(
            rule="memory",
            subject=case.subject,
            part=worst[0].process,
            metric="memory_growth",
            observed=rate,
            limit=limit,
            passed=not fails,
            reason=f"10^6 bytes per {LIMIT_ROWS:,} of the challenger's rows; {growth:.3g} in all,"
            f" over {worst[-1].rows - worst[0].rows:,} rows",
        )
    ]


def growth_rate(samples: Sequence[MemorySample]) -> float:
    """The growth in 10^6 bytes per 10,000 rows; 0 where no row came between the samples."""
    stride = -(-len(samples) // MOST_SAMPLES)
    slopes = [
        (later.resident - earlier.resident) / (later.rows - earlier.rows)
        for earlier, later in combinations(samples[::stride], 2)
        if later.rows > earlier.rows
    ]
    return median(slopes) * LIMIT_ROWS / MEGABYTE if slopes else 0.0


def _growth(samples: Sequence[MemorySample]) -> float:
    return (samples[-1].resident - samples[0].resident) / MEGABYTE


def _second_half(samples: Sequence[MemorySample]) -> float:
    return _growth(samples[len(samples) // 2 :])


MEMORY_QUESTIONS = (memory,)
