"""What came true: the model's loss where labels have matured, the application's own reward where it
was told. Of an A/B test and a bandit it decides; elsewhere it can only refuse.

Both arms are compared by a confidence sequence of the difference of their means, so that the
figures may be looked at whenever a label comes.
"""

from __future__ import annotations

from typing import Literal

from include.release.analysis.base import AnalysisInput, too_few
from include.release.analysis.observed import Matured
from include.spec import AB, Bandit
from include.stats.sequential import Bounds, Sample, difference_bounds
from include.verdict import Finding

MINIMUM_OUTCOMES = 100
"""Of each arm, where the strategy declares no number: the bounds hold approximately, for many."""
Metric = Literal["loss", "reward"]
METRICS: tuple[Metric, ...] = ("loss", "reward")


def outcomes(case: AnalysisInput) -> list[Finding]:
    """Refuse a challenger whose matured loss or reward is proved to be worse."""
    decided = deciding_metric(case)
    return [finding for metric in METRICS if metric != decided for finding in _worse(case, metric)]


def metric(case: AnalysisInput) -> list[Finding]:
    """The metric that an A/B test or a bandit declares: proved to be better by enough, proved not
    to be, or neither yet.
    """
    declared = deciding_metric(case)
    if declared is None:
        return []
    pair, needed = pair_of(case, declared), case.minimum_rows
    if pair is None or min(arm.rows for arm in pair) < needed:
        rows = 0 if pair is None else min(arm.rows for arm in pair)
        reason = f"too few rows have a matured {declared}"
        return [too_few("metric", case.subject, rows, needed, reason, declared)]
    return [_decided(case, declared, pair)]


def deciding_metric(case: AnalysisInput) -> Metric | None:
    """What the strategy decides by; None where outcomes do not decide."""
    strategy = case.release.strategy
    if isinstance(strategy, AB):
        return strategy.metric
    return "reward" if isinstance(strategy, Bandit) else None


def improvement(
    declared: Metric, challenger: Matured, champion: Matured, *, alpha: float, sharpest: int
) -> Bounds:
    """How much better the challenger's mean is, with its confidence sequence: positive is better,
    also of a loss.
    """
    spread = max(challenger.most, champion.most) - min(challenger.least, champion.least)
    samples = [Sample(arm.rows, arm.mean, arm.variance) for arm in (challenger, champion)]
    bounds = difference_bounds(*samples, alpha=alpha, sharpest=sharpest, spread=spread)
    if declared == "reward":
        return bounds
    return Bounds(-bounds.difference, -bounds.high, -bounds.low)


def _worse(case: AnalysisInput, declared: Metric) -> list[Finding]:
    pair = pair_of(case, declared)
    if pair is None:
        return []
    if min(arm.rows for arm in pair) < MINIMUM_OUTCOMES:
        rows = min(arm.rows for arm in pair)
        reason = f"too few rows have a matured {declared}"
        return [too_few("outcomes", case.subject, rows, MINIMUM_OUTCOMES, reason, declared)]
    # Each bound is left with half of a two-sided level; only the upper one refuses.
    alpha = 2.0 * case.alpha("outcomes") / len(METRICS)
    bounds = improvement(declared, *pair, alpha=alpha, sharpest=4 * MINIMUM_OUTCOMES)
    return [
        Finding(
            rule="outcomes",
            subject=case.subject,
            part=declared,
            metric="improvement",
            observed=bounds.difference,
            limit=0.0,
            passed=bounds.high >= 0.0,
            reason=_figures(declared, *pair, bounds),
        )
    ]


def _decided(case: AnalysisInput, declared: Metric, pair: tuple[Matured, Matured]) -> Finding:
    strategy = case.release.strategy
    effect = strategy.minimum_effect if isinstance(strategy, AB) else 0.0
    bounds = improvement(
        declared, *pair, alpha=case.release.analysis.alpha, sharpest=2 * case.minimum_rows
    )
    better = bounds.low > 0.0 and bounds.difference >= effect
    excluded = bounds.high < effect if effect else bounds.high < 0.0
    tail = (
        "better by enough"
        if better
        else "the effect that is worth a release is excluded"
        if excluded
        else "neither proved nor excluded yet"
    )
    return Finding(
        rule="metric",
        subject=case.subject,
        part=declared,
        metric="improvement",
        observed=bounds.difference,
        limit=effect,
        passed=better or not excluded,
        judged=better or excluded,
        reason=f"{_figures(declared, *pair, bounds)}: {tail}",
    )


def _figures(declared: str, challenger: Matured, champion: Matured, bounds: Bounds) -> str:
    return (
        f"mean {declared} {challenger.mean:.4g} over {challenger.rows:,} rows, of the champion"
        f" {champion.mean:.4g} over {champion.rows:,}; the improvement lies between"
        f" {bounds.low:.3g} and {bounds.high:.3g}"
    )


def pair_of(case: AnalysisInput, declared: str) -> tuple[Matured, Matured] | None:
    """The challenger's and the champion's outcomes; None until both have some."""
    parts = {item.role: item for item in case.observed.matured if item.metric == declared}
    challenger, champion = parts.get(case.observed.now.challenger.role), parts.get("champion")
    if challenger is None or champion is None:
        return None
    return challenger, champion


OUTCOME_QUESTIONS = (outcomes, metric)
