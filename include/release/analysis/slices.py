"""Is the challenger worse on one slice, though the whole looks well?"""

from __future__ import annotations

from include.release.analysis.base import AnalysisInput, excess_finding, excess_of, too_few
from include.release.analysis.observed import SliceComparison
from include.release.analysis.scores import score_finding, shift_of
from include.verdict import Finding

QUESTIONS_PER_SLICE = 2


def slices(case: AnalysisInput) -> list[Finding]:
    """Errors and scores of every slice with enough rows of both arms.

    The level is divided by all slices that were observed, also those too small to judge: they will
    be judged later. What refuses or leans stands by itself, the rest is one finding.
    """
    everything = case.observed.slices
    if case.observed.slices_problem:
        return [
            Finding(
                rule="slices",
                subject=case.subject,
                metric="slices",
                passed=True,
                judged=False,
                reason=case.observed.slices_problem,
            )
        ]
    if not everything:
        return []
    minimum = case.release.analysis.minimum_slice_rows
    large = [part for part in everything if min(_rows(part)) >= minimum]
    if not large:
        reason = f"none of {len(everything)} slices has {minimum} rows of both versions"
        most = max(min(_rows(part)) for part in everything)
        return [too_few("slices", case.subject, most, minimum, reason)]
    alpha = case.alpha("slices") / (QUESTIONS_PER_SLICE * len(everything))
    findings = [finding for part in large for finding in _slice(case, part, alpha)]
    striking = [finding for finding in findings if finding.outcome != "passed"]
    return striking or [
        Finding(
            rule="slices",
            subject=case.subject,
            metric="slices",
            observed=len(large),
            limit=len(everything),
            passed=True,
            reason=f"{len(large)} slices have {minimum} rows of both versions, and none is worse",
        )
    ]


def _slice(case: AnalysisInput, part: SliceComparison, alpha: float) -> list[Finding]:
    excess = excess_of(part.steps, "errors", alpha)
    findings = [
        excess_finding(case, "slices", "error_rate", excess, part=part.label, what="errors")
    ]
    shift, limit = (
        shift_of(part.steps, case.observed.score_edges),
        case.release.analysis.max_score_psi,
    )
    if shift is not None:
        findings.append(score_finding(case, "slices", shift, limit, alpha, part.label))
    return findings


def _rows(part: SliceComparison) -> tuple[int, int]:
    return (
        sum(step.champion.rows for step in part.steps),
        sum(step.challenger.rows for step in part.steps),
    )


SLICE_QUESTIONS = (slices,)
