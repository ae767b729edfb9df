"""Does the challenger fail more often, or lack features more often, than the champion at the same
time?
"""

from __future__ import annotations

from include.release.analysis.base import AnalysisInput, excess_finding, excess_of
from include.verdict import Finding


def errors(case: AnalysisInput) -> list[Finding]:
    """Rows that the version could not score: the champion answered them, and callers saw none."""
    excess = excess_of(case.observed.steps, "errors", case.alpha("errors"))
    return [excess_finding(case, "errors", "error_rate", excess, what="errors")]


def fallbacks(case: AnalysisInput) -> list[Finding]:
    """Rows that the version scored without all of its features."""
    excess = excess_of(case.observed.steps, "fallbacks", case.alpha("fallbacks"))
    return [excess_finding(case, "fallbacks", "fallback_rate", excess, what="missing features")]


FAILURE_QUESTIONS = (errors, fallbacks)
