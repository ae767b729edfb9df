"""Do both versions decide the same on the same rows? Only a shadow answers rows that the champion
answered too.
"""

from __future__ import annotations

from include.release.analysis.base import AnalysisInput, evidence_text, too_few
from include.stats.sequential import log_threshold, rate_evidence
from include.verdict import Finding


def disagreement(case: AnalysisInput) -> list[Finding]:
    """The share of rows with another decision, against the declared limit."""
    pairs = case.observed.paired
    if not case.is_shadow:
        return []
    if pairs is None or pairs.rows < case.minimum_rows:
        rows = 0 if pairs is None else pairs.rows
        reason = "too few rows that both versions scored"
        return [too_few("disagreement", case.subject, rows, case.minimum_rows, reason)]
    limit, threshold = (
        case.release.analysis.max_disagreement,
        log_threshold(case.alpha("disagreement")),
    )
    share = pairs.different / pairs.rows
    evidence = 0.0 if limit >= 1.0 else float(rate_evidence(pairs.different, pairs.rows, limit))
    fails = evidence >= threshold
    return [
        Finding(
            rule="disagreement",
            subject=case.subject,
            metric="disagreement_rate",
            observed=share,
            limit=limit,
            passed=not fails,
            judged=fails or share <= limit,
            reason=f"{pairs.different:,} of {pairs.rows:,} rows got another decision, scores differ"
            f" by {pairs.mean_difference:.3g} on average; {evidence_text(evidence, threshold)}",
        )
    ]


DISAGREEMENT_QUESTIONS = (disagreement,)
