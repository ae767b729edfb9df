"""Rollback: all traffic back to a version that served before, by one trigger or one command."""

from __future__ import annotations

from typing import Any

from include.processes.approval import actor_of
from include.processes.release_notices import notify_release
from include.processes.release_results import RolledBack
from include.release.alias import follow_with_alias
from include.release.followers import wait_until_followed
from include.release.rollback import roll_back as decide_roll_back
from include.settings import Settings
from include.spec import UseCase
from include.steps import StepContext

FOLLOWED_SECONDS = 60.0


def roll_back(context: StepContext) -> RolledBack:
    """Go back to the version of parameter `to`, or to the one that served before.

    Needs the ledger, the signed package in the model store and the endpoint; neither MLflow nor the
    version's record there. Repeating it changes nothing.
    """
    number = context.run.params.get("to")
    return go_back(
        context.settings,
        context.use_case,
        to=None if number is None else int(number),
        actor=actor_of(context),
        reason=context.run.params.get("reason") or "no reason was typed",
        evidence={"run": context.run.as_json(), "step": "roll_back"},
    )


def go_back(
    settings: Settings,
    use_case: UseCase,
    *,
    to: int | None,
    actor: str,
    reason: str,
    evidence: dict[str, Any],
) -> RolledBack:
    """Record the roll-back, put its plan in force, see every endpoint process follow it, then move
    MLflow's alias if MLflow answers.

    Raises `ReleaseError` when there is nothing to go back to, or when an endpoint process does not
    follow: the plan stays in force then, and processes follow as they come back.
    """
    entry, plan, target = decide_roll_back(
        settings, use_case, to=to, actor=actor, reason=reason, evidence=evidence
    )
    try:
        followers = wait_until_followed(settings, plan, seconds=FOLLOWED_SECONDS)
    finally:
        # A slow receiver must not keep who rolls back waiting for what the endpoint does.
        notify_release(settings, use_case, "rolled_back", entry)
    problem = follow_with_alias(settings, use_case, target.entry.version)
    return RolledBack(
        version=target.entry.version,
        digest=target.entry.digest,
        ledger_row=entry.number,
        plan=plan.sequence,
        processes=len(followers),
        passed_over={str(number): why for number, why in target.passed_over.items()},
        alias_problem=problem,
    )
