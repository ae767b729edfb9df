"""Was what the plan names measured at all, and was it enough?"""

from __future__ import annotations

from collections.abc import Sequence

from include.release.analysis.base import AnalysisInput, too_few
from include.release.analysis.observed import Comparison
from include.spec import Bandit
from include.verdict import Finding

MINIMUM_UNITS = 20
"""Of fewer units the answers say nothing of the others: one odd customer would decide."""


def measured_arms(case: AnalysisInput) -> list[Finding]:
    """Every row of the rollout's plans was answered by a package that its plan names, by digest."""
    strangers = {name: rows for name, rows in case.observed.strangers.items() if rows}
    arms = (case.observed.now.champion, case.observed.now.challenger)
    names = ", ".join(f"{arm.role} version {arm.version} ({arm.digest[:12]})" for arm in arms)
    if strangers:
        others = ", ".join(f"{digest[:12]}: {rows:,}" for digest, rows in strangers.items())
        reason = f"rows were answered by packages that the plan does not name ({others}); it names"
    else:
        reason = "every row of the plan carries the digest of an arm:"
    return [
        Finding(
            rule="measured_arms",
            subject=case.subject,
            metric="foreign_rows",
            observed=sum(strangers.values()),
            limit=0,
            passed=not strangers,
            reason=f"{reason} {names}",
        )
    ]


def enough_rows(case: AnalysisInput) -> list[Finding]:
    """Both arms answered enough rows under the plan in force, of enough units. A bandit's plans are
    short, so all of them count.
    """
    steps, needed = case.observed.steps, case.minimum_rows
    now = case.observed.now
    if isinstance(case.release.strategy, Bandit):
        return [_all_plans(case, steps, needed)]
    # An arm with the smaller share is what a step waits for; of the champion no more is asked than
    # its own share brings in the same time.
    beside = now.champion.share / now.challenger.share if now.challenger.share else 1.0
    for arm, minimum in (
        (now.challenger, float(needed)),
        (now.champion, needed * min(1.0, beside) if now.concurrent else 1.0),
    ):
        if arm.rows < minimum:
            reason = f"too few rows of the {arm.role} to let anything pass"
            return [too_few("enough_rows", case.subject, arm.rows, minimum, reason)]
    units = now.challenger.units
    if units is not None and units < MINIMUM_UNITS <= needed:
        reason = f"the challenger's {now.challenger.rows:,} rows are of {units} units only"
        return [too_few("enough_rows", case.subject, units, MINIMUM_UNITS, reason, "units")]
    return [
        Finding(
            rule="enough_rows",
            subject=case.subject,
            metric="rows",
            observed=now.challenger.rows,
            limit=needed,
            passed=True,
            reason=f"the champion answered {now.champion.rows:,}",
        )
    ]


def _all_plans(case: AnalysisInput, steps: Sequence[Comparison], needed: int) -> Finding:
    rows = min(
        sum(step.challenger.rows for step in steps), sum(step.champion.rows for step in steps)
    )
    if rows < needed:
        return too_few("enough_rows", case.subject, rows, needed, "too few rows of one version")
    return Finding(
        rule="enough_rows",
        subject=case.subject,
        metric="rows",
        observed=rows,
        limit=needed,
        passed=True,
        reason=f"both versions answered as many under {len(steps)} plans",
    )


EXPOSURE_QUESTIONS = (measured_arms, enough_rows)
