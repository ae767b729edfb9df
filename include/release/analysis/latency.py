"""Is the challenger slower? Rows count as slow beyond a latency that was decided before the first
of them: the champion's 95th percentile before the rollout, times the declared ratio.
"""

from __future__ import annotations

from include.release.analysis.base import AnalysisInput, excess_finding, excess_of
from include.verdict import Finding


def latency(case: AnalysisInput) -> list[Finding]:
    """Slow rows of both arms; of a shadow nothing is judged, which runs at a low priority."""
    observed = case.observed
    if case.is_shadow:
        return []
    if observed.slow_ms is None:
        return [
            Finding(
                rule="latency",
                subject=case.subject,
                metric="slow_rate",
                passed=True,
                judged=False,
                reason="the champion answered nothing before the rollout, so nothing says what is"
                " slow",
            )
        ]
    excess = excess_of(observed.steps, "slow", case.alpha("latency"))
    p95s = [
        "no rows" if arm.p95_ms is None else f"{arm.p95_ms:.3g} ms"
        for arm in (observed.now.challenger, observed.now.champion)
    ]
    what = (
        f"95th percentile {p95s[0]}, of the champion {p95s[1]}; more than {observed.slow_ms:.3g} ms"
    )
    return [excess_finding(case, "latency", "slow_rate", excess, what=what)]


LATENCY_QUESTIONS = (latency,)
