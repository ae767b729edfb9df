"""The gates against the champion: both models scored now, on the same rows, and judged with the
uncertainty of the difference.

Whole days are resampled (`paired_bootstrap`): rows of one day share their weather. A confidence is
the share of resamples in which the statement holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from include.evaluation.gates.base import TEST, Champion, GateInput, too_small, undeclared_slices
from include.evaluation.slices import SlicePart
from include.stats.paired import Difference, auc_difference, paired_bootstrap
from include.verdict import Finding


def champion_improvement(candidate: GateInput) -> list[Finding]:
    """The loss is lower than the champion's by `min_champion_improvement`, and surely so: log loss
    in nats, of a regression squared or absolute error as share of the best constant's loss on the
    test rows.

    Two rows: the mean difference is at least that much, and it is *more* than that in at least
    `champion_confidence` of the resamples. An equal model differs by 0 in every one of them and is
    refused, whatever the improvement asked for.
    """
    if candidate.champion is None:
        return []
    limit, confidence = (
        candidate.limits.min_champion_improvement,
        candidate.limits.champion_confidence,
    )
    gain = f"{candidate.problem_strategy.loss_metric}_improvement"
    metrics = ((gain, limit), ("improvement_confidence", confidence))
    scores, others, missing = _comparable(candidate, candidate.champion)
    if scores is None or others is None:
        return [
            _improvement(metric, bound, passed=False, reason=missing) for metric, bound in metrics
        ]
    gained = candidate.losses(others) - candidate.losses(scores)
    difference = paired_bootstrap(gained, candidate.days, seed=candidate.use_case.training.seed)
    share = difference.share_above(limit)
    interval = (
        f"95 % interval {difference.low:.5f} to {difference.high:.5f}"
        f" over {difference.clusters} days"
    )
    better = (
        f"{'better' if difference.mean > 0 else 'not better'} than champion version"
        f" {candidate.champion.version}; {interval}"
    )
    sure = f"the improvement exceeds {limit:g} in {share:.1%} of the resamples"
    return [
        _improvement(
            gain,
            limit,
            observed=difference.mean,
            passed=difference.mean >= limit,
            reason=better,
        ),
        _improvement(
            "improvement_confidence",
            confidence,
            observed=share,
            passed=share >= confidence,
            reason=sure,
        ),
    ]


def _improvement(metric: str, limit: float, **judged_as: Any) -> Finding:
    return Finding(
        rule="champion_improvement", metric=metric, subject=TEST, limit=limit, **judged_as
    )


def champion_slices(candidate: GateInput) -> list[Finding]:
    """No slice is materially worse than the champion on it, on the same rows: neither its loss nor,
    of a binary problem, its AUC.

    Refused is a slice that loses more than `max_slice_auc_drop` (or whose log loss rises by more
    than `max_slice_loss_increase` nats), and that is surely worse: a large loss over few days may
    be luck, a sure one may be small. Sure means worse at all in a share 1 - (1 -
    `slice_confidence`) / n of the resamples for n judged slices: of many slices one looks worse by
    chance (Bonferroni).
    """
    if candidate.champion is None:
        return []
    metric, limit = _slice_metric(candidate)
    rows = undeclared_slices(candidate, "champion_slices", metric, limit)
    scores, others, missing = _comparable(candidate, candidate.champion)
    if scores is None or others is None:
        return [
            *rows,
            Finding(
                rule="champion_slices",
                metric=metric,
                subject=TEST,
                limit=limit,
                passed=False,
                reason=missing,
            ),
        ]
    sure = 1.0 - (1.0 - candidate.limits.slice_confidence) / max(
        1, sum(part.judged for part in candidate.slices)
    )
    for part in candidate.slices:
        if not part.judged:
            rows.append(too_small("champion_slices", metric, limit, part))
        else:
            if candidate.problem_strategy.compares_auc:
                rows.append(_auc_row(candidate, part, scores, others, sure))
            rows.append(_loss_row(candidate, part, scores, others, sure))
    return rows


CHAMPION_GATES = (champion_improvement, champion_slices)


def _slice_metric(candidate: GateInput) -> tuple[str, float]:
    """The metric by which slices are compared first, and its limit."""
    if candidate.problem_strategy.compares_auc:
        return "auc_drop", candidate.limits.max_slice_auc_drop
    return (
        f"{candidate.problem_strategy.loss_metric}_increase",
        candidate.limits.max_slice_loss_increase,
    )


def _auc_row(
    candidate: GateInput, part: SlicePart, scores: np.ndarray, others: np.ndarray, sure: float
) -> Finding:
    limit, labels, seed = (
        candidate.limits.max_slice_auc_drop,
        candidate.labels[part.mask],
        candidate.use_case.training.seed,
    )
    if labels.min() == labels.max():
        reason = "the slice holds one class only: its AUC is undefined"
        return Finding(
            rule="champion_slices",
            metric="auc_drop",
            subject=TEST,
            part=part.label,
            limit=limit,
            passed=False,
            reason=reason,
        )
    difference = auc_difference(
        labels, others[part.mask], scores[part.mask], candidate.days[part.mask], seed=seed
    )
    return _worse(part, "auc_drop", (limit, sure), difference)


def _loss_row(
    candidate: GateInput, part: SlicePart, scores: np.ndarray, others: np.ndarray, sure: float
) -> Finding:
    lost = (candidate.losses(scores) - candidate.losses(others))[part.mask]
    difference = paired_bootstrap(
        lost, candidate.days[part.mask], seed=candidate.use_case.training.seed
    )
    return _worse(
        part,
        f"{candidate.problem_strategy.loss_metric}_increase",
        (candidate.limits.max_slice_loss_increase, sure),
        difference,
    )


def _worse(
    part: SlicePart, metric: str, bounds: tuple[float, float], difference: Difference
) -> Finding:
    (limit, sure), share = bounds, difference.share_above(0.0)
    passed = difference.mean <= limit or share < sure
    verdict = (
        "within the threshold"
        if difference.mean <= limit
        else "above the threshold, not surely worse"
        if passed
        else "surely worse"
    )
    reason = (
        f"{verdict}: worse in {share:.1%} of the resamples of {part.rows} rows over"
        f" {difference.clusters} days, from {sure:.2%} on it is sure"
    )
    return Finding(
        rule="champion_slices",
        metric=metric,
        subject=TEST,
        part=part.label,
        limit=limit,
        observed=difference.mean,
        passed=passed,
        reason=reason,
    )


def _comparable(
    candidate: GateInput, champion: Champion
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    if champion.scores is None:
        return (
            None,
            None,
            (
                f"champion version {champion.version} cannot be scored:"
                f" {champion.problem or 'no scores'}"
            ),
        )
    if candidate.scores is None:
        return None, None, candidate.problem or "the candidate cannot be scored"
    if candidate.scores.shape != champion.scores.shape:
        return (
            None,
            None,
            (
                f"champion version {champion.version} answers another question: scores of shape"
                f" {champion.scores.shape}"
            ),
        )
    return candidate.scores, champion.scores, ""
