"""What a question of the analysis gets and leaves, and the test that most of them share.

A question is a function `(AnalysisInput) -> list[Finding]`. It refuses only on evidence that holds
however often one looks; where too little is there, or the evidence leans without deciding, its
finding is not judged, which is neither a pass nor an abort.

The promise "an identical challenger is aborted with a probability of at most alpha over the whole
rollout" is shared out over the questions by `ALPHA_SHARES` (Bonferroni's inequality, with weights):
errors and latency get most of it, since there few requests decide; the others judge effects so
large that a stricter level costs them little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from include.release.analysis.observed import Comparison, Observed
from include.spec import Direct, Release
from include.stats.sequential import (
    busy_share,
    excess_terms,
    largest_rate,
    log_threshold,
    mixed,
    rate_evidence,
)
from include.verdict import Finding

ALPHA_SHARES = {
    "errors": 0.525,
    "latency": 0.395,
    "slices": 0.025,
    "scores": 0.02,
    "outcomes": 0.015,
    "fallbacks": 0.01,
    "disagreement": 0.01,
}
SUSPICION = 4.0
"""From this e-value on a question waits for more requests before it passes."""
RELEVANT_RATIO = 1.1
"""A rate that is less than this times the champion's is no reason to abort, however sure it is: a
busy service proves differences that nobody feels.
"""
NO_SHARE = 1e-6
CLUSTERED = 1.2
"""From this design effect on a finding speaks of it."""
_SUSPICION = math.log(SUSPICION)


@dataclass(frozen=True)
class AnalysisInput:
    """What was observed, and what the specification allows."""

    observed: Observed
    release: Release

    def alpha(self, question: str) -> float:
        """The question's part of the probability of a false abort."""
        return self.release.analysis.alpha * ALPHA_SHARES[question]

    @property
    def minimum_rows(self) -> int:
        """The rows that a step must have before it may pass; 1 where nothing is compared."""
        strategy = self.release.strategy
        return 1 if isinstance(strategy, Direct) else strategy.minimum_rows

    @property
    def is_shadow(self) -> bool:
        """Whether the challenger's answers are only compared."""
        return self.observed.now.challenger.role == "shadow"

    @property
    def subject(self) -> str:
        """How findings name what was compared."""
        now = self.observed.now
        return f"version {now.challenger.version} against {now.champion.version}"


Question = Callable[[AnalysisInput], list[Finding]]
Counted = Literal["errors", "fallbacks", "slow"]
"""A count of `ArmWindow`, and of `Clustering`."""


@dataclass(frozen=True)
class Excess:
    """Whether the challenger has more events than the champion.

    `evidence` is the log e-value and `threshold` what it must reach; `ratio` is the challenger's
    rate over the champion's, step by step (Mantel and Haenszel, 1959), infinite where the champion
    has none. `clustering` is the largest design effect of the steps.
    """

    challenger: tuple[int, int]
    champion: tuple[int, int]
    evidence: float
    threshold: float
    ratio: float
    clustering: float

    @property
    def fails(self) -> bool:
        """Whether it is proved, and large enough to matter."""
        return self.evidence >= self.threshold and self.ratio >= RELEVANT_RATIO

    @property
    def leans(self) -> bool:
        """Whether it is likely enough to wait for more requests."""
        return not self.fails and self.ratio >= RELEVANT_RATIO and self.evidence >= _SUSPICION


def excess_of(steps: Sequence[Comparison], counted: Counted, alpha: float) -> Excess:
    """Compare the events of both arms, over all steps.

    Units are what chance assigns, not rows: events are divided by the design effect of the units'
    rows (Rao and Scott, "A simple method for the analysis of clustered binary data", 1992), which
    is 1 where every row has a unit of its own.

    Each step is tested with the challenger's planned share of the traffic, which is what chance
    gave it, and with the share of the rows that it got where that is too large for chance
    (`busy_share`). The weaker evidence counts.
    """
    together = [step for step in steps if step.concurrent]
    planned, realised = np.zeros(1), np.zeros(1)
    for step in together:
        effect = getattr(step.clustering, counted)
        hits, others = getattr(step.challenger, counted), getattr(step.champion, counted)
        hits, events = hits / effect, (hits + others) / effect
        planned = planned + excess_terms(hits, events, _within(step.share))
        realised = realised + excess_terms(hits, events, _within(row_share(step)))
    evidence = min(float(mixed(planned)), float(mixed(realised))) if together else 0.0
    for step in steps:
        if not step.concurrent:
            evidence = max(evidence, _against_before(step, counted, alpha))
    return Excess(
        (_total(steps, counted, "challenger"), _rows(steps, "challenger")),
        (_total(steps, counted, "champion"), _rows(steps, "champion")),
        evidence,
        log_threshold(alpha),
        _ratio(steps, counted),
        max((getattr(step.clustering, counted) for step in steps), default=1.0),
    )


def excess_finding(
    case: AnalysisInput,
    question: str,
    metric: str,
    excess: Excess,
    *,
    part: str = "",
    what: str = "events",
) -> Finding:
    """The finding that follows from an excess."""
    rates = [hits / rows if rows else None for hits, rows in (excess.challenger, excess.champion)]
    texts = [f"{hits:,} of {rows:,} rows" for hits, rows in (excess.challenger, excess.champion)]
    judged = None not in rates and not excess.leans
    together, alike = "", "unit or moment" if question == "latency" else "unit"
    if excess.clustering > CLUSTERED:
        together = f"; rows of one {alike} resemble each other {excess.clustering:.2g} times"
    return Finding(
        rule=question,
        subject=case.subject,
        part=part,
        metric=metric,
        observed=rates[0],
        limit=rates[1],
        passed=not excess.fails,
        judged=judged,
        reason=f"{what} on {texts[0]} of the challenger, {texts[1]} of the champion at the same"
        f" time{together}; {evidence_text(excess.evidence, excess.threshold)}",
    )


def evidence_text(evidence: float, threshold: float) -> str:
    """How far the evidence is from what refuses, for people."""
    needed = math.exp(threshold)
    if evidence >= threshold:
        return f"the evidence of harm is {_large(evidence)}, {needed:,.0f} refuses"
    leaning = "more requests will decide: " if evidence >= _SUSPICION else ""
    return f"{leaning}the evidence of harm is {math.exp(evidence):.3g}, {needed:,.0f} refuses"


def row_share(step: Comparison) -> float:
    """The challenger's planned share, or that of the rows where chance does not explain it."""
    rows = step.challenger.rows + step.champion.rows
    return float(busy_share(step.challenger.rows, rows, step.share))


def too_few(
    rule: str, subject: str, rows: float, needed: float, reason: str, part: str = ""
) -> Finding:
    """A finding that decides nothing, for there are too few rows."""
    return Finding(
        rule=rule,
        subject=subject,
        part=part,
        metric="rows",
        observed=rows,
        limit=needed,
        passed=True,
        judged=False,
        reason=reason,
    )


def _against_before(step: Comparison, counted: Counted, alpha: float) -> float:
    """The challenger alone against the champion's rows before it: half of alpha for the upper bound
    of the champion's rate, half for the challenger's being above it.
    """
    before, now = step.champion, step.challenger
    if not before.rows or not now.rows:
        return 0.0
    effect = getattr(step.clustering, counted)
    hits, events = (getattr(arm, counted) / effect for arm in (before, now))
    limit = largest_rate(hits, before.rows / effect, alpha / 2.0)
    if limit >= 1.0:
        return 0.0
    return float(rate_evidence(events, now.rows / effect, limit)) - math.log(2.0)


def _ratio(steps: Sequence[Comparison], counted: Counted) -> float:
    above = below = 0.0
    for step in steps:
        rows = step.challenger.rows + step.champion.rows
        if rows:
            above += getattr(step.challenger, counted) * step.champion.rows / rows
            below += getattr(step.champion, counted) * step.challenger.rows / rows
    if below:
        return above / below
    return math.inf if above else 1.0


def _total(steps: Sequence[Comparison], counted: Counted, role: str) -> int:
    return sum(getattr(getattr(step, role), counted) for step in steps)


def _rows(steps: Sequence[Comparison], role: str) -> int:
    return sum(getattr(step, role).rows for step in steps)


def _within(share: float) -> float:
    return min(max(share, NO_SHARE), 1.0 - NO_SHARE)


def _large(evidence: float) -> str:
    return f"{math.exp(evidence):,.0f}" if evidence < math.log(1e9) else "beyond all doubt"
