"""The questions of the analysis, one file per family, and the verdict that follows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, computed_field

from include.release.analysis.base import AnalysisInput, Question
from include.release.analysis.disagreement import DISAGREEMENT_QUESTIONS
from include.release.analysis.exposure import EXPOSURE_QUESTIONS
from include.release.analysis.failures import FAILURE_QUESTIONS
from include.release.analysis.latency import LATENCY_QUESTIONS
from include.release.analysis.memory import MEMORY_QUESTIONS
from include.release.analysis.observed import Observed
from include.release.analysis.outcomes import OUTCOME_QUESTIONS, pair_of
from include.release.analysis.scores import SCORE_QUESTIONS
from include.release.analysis.slices import SLICE_QUESTIONS
from include.spec import Bandit, Release
from include.stats import bandit
from include.verdict import Finding, Verdict

Outcome = Literal["passed", "failed", "inconclusive"]

QUESTIONS: tuple[Question, ...] = (
    *EXPOSURE_QUESTIONS,
    *FAILURE_QUESTIONS,
    *LATENCY_QUESTIONS,
    *SCORE_QUESTIONS,
    *DISAGREEMENT_QUESTIONS,
    *SLICE_QUESTIONS,
    *MEMORY_QUESTIONS,
    *OUTCOME_QUESTIONS,
)

OPTIONAL = frozenset({"slices", "memory", "outcomes"})
"""Rules that may have too few rows without keeping a step from passing: a rare slice, labels that
come next month. Evidence that leans keeps it, whatever the rule.
"""


class ReleaseVerdict(Verdict):
    """The findings of all questions at one look, and what they were about."""

    use_case: str
    plan: int = Field(description="sequence of the plan in force")
    champion_version: int
    challenger_version: int
    challenger_rows: int = Field(description="rows of the challenger under the plan in force")
    better_probability: float | None = Field(
        default=None, description="of a bandit: that the challenger's reward is the larger"
    )
    posteriors: dict[str, dict[str, float]] = Field(
        default={}, description="of a bandit: successes and failures by role, matured ones only"
    )

    @computed_field  # type: ignore[prop-decorator]  # pydantic's decorator stands on a property
    @property
    def outcome(self) -> Outcome:
        """Failed where one finding refuses; inconclusive where one that must decide does not."""
        if self.refused:
            return "failed"
        return "inconclusive" if self.undecided or not self.findings else "passed"

    @property
    def undecided(self) -> list[Finding]:
        """The findings that keep a step from passing."""
        return [
            finding
            for finding in self.not_judged
            if finding.rule not in OPTIONAL or finding.metric != "rows"
        ]


def analyse(release: Release, observed: Observed) -> ReleaseVerdict:
    """Put every question to what was observed; all of them, whatever an earlier one decided."""
    case = AnalysisInput(observed, release)
    now = observed.now
    known = _posteriors(case)
    return ReleaseVerdict(
        findings=tuple(finding for question in QUESTIONS for finding in question(case)),
        use_case=observed.use_case,
        plan=observed.plan,
        champion_version=now.champion.version,
        challenger_version=now.challenger.version,
        challenger_rows=now.challenger.rows,
        better_probability=bandit.better_probability(*known) if known else None,
        posteriors={
            role: part.as_json()
            for role, part in zip(("challenger", "champion"), known or (), strict=False)
        },
    )


def _posteriors(case: AnalysisInput) -> tuple[bandit.Posterior, bandit.Posterior] | None:
    """What a bandit knows of both rewards: the challenger's first."""
    pair = pair_of(case, "reward") if isinstance(case.release.strategy, Bandit) else None
    if pair is None:
        return None
    least = min(arm.least for arm in pair)
    most = max(arm.most for arm in pair)
    challenger, champion = (bandit.posterior(arm.rows, arm.mean, least, most) for arm in pair)
    return challenger, champion
