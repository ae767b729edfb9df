"""The stages of a rollout: give the challenger its share, look at both versions, and go on, wait,
ask a person, or take everything back.

Each stage is a task. What it decided is a row of the ledger, and the next one reads it there.
"""

from __future__ import annotations

from datetime import UTC, datetime

from include.processes.approval import actor_of, claim_of
from include.processes.release_notices import notify_release, settle_decision
from include.processes.release_results import (
    BegunStage,
    PersonsAnswer,
    PersonsRequest,
    StageLook,
    StageName,
)
from include.processes.results import PackageVerdict, SelectedVersion
from include.processes.stage import (
    Rollout,
    follow,
    is_own,
    record,
    rollout_of,
    shift,
    take_back,
    verdict_row,
)
from include.release.approval import Right, fingerprint, judge_answer, newest_row
from include.release.ledger import Entry
from include.release.rollout.conditions import Outcome, require_conditions
from include.release.rollout.decisions import plan_of
from include.release.rollout.judgement import Judgement, judge_stage
from include.spec import Bandit
from include.steps import StepContext
from include.verdict import Verdict, as_text

OUTCOMES: dict[str, Outcome] = {
    "advance": "passed",
    "complete": "passed",
    "abort": "failed",
    "hold": "inconclusive",
}


def begin_stage(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict, stage: StageName
) -> BegunStage:
    """Give the challenger the stage's share, and see every endpoint process follow.

    Raises `ReleaseError` when the ledger lacks what must be proved before, or when a process does
    not follow (the champion has all traffic again then), `LateStep` when another release was
    faster.
    """
    rollout = rollout_of(context, selected, verdict, stage)
    require_conditions(
        context.use_case.release,
        rollout.claim,
        rollout.ledger.rows(rollout.claim.use_case),
        before=rollout.stage,
    )
    reason = rollout.nothing_to_compare
    if reason:
        entry = record(rollout, "passed", Verdict(), f"Not judged: {reason}.", {})
        return _begun(rollout, None, entry, reason)
    newest = rollout.ledger.newest(rollout.claim.use_case)
    if newest is not None and is_own(rollout, newest):
        follow(context, plan_of(newest))
        return _begun(rollout, newest.number, newest, newest.reason)
    step = f"{rollout.stage.name}, try {context.run.try_number}"
    entry = shift(rollout, rollout.stage.share, step, "the stage begins")
    return _begun(rollout, entry.number, entry, entry.reason)


def look_at_stage(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict, stage: StageName
) -> StageLook:
    """Analyse what both versions answered since the stage began, and do what follows from it.

    An abort gives all traffic back to the champion before it is reported.
    """
    rollout = rollout_of(context, selected, verdict, stage)
    traffic = rollout.own_traffic()
    rows = rollout.stage_traffic()
    judged = judge_stage(
        context.settings,
        context.use_case,
        [plan_of(row) for row in rollout.run_traffic()],
        stage=rollout.stage,
        waited=_seconds_since(rows[0]),
    )
    kind, share = str(judged.move.kind), judged.move.challenger_share
    strategy = context.use_case.release.strategy
    if kind == "advance" and isinstance(strategy, Bandit):
        kind = "wait"
        if _seconds_since(traffic) >= strategy.update_seconds:
            step = f"{rollout.stage.name}, after {traffic.number}"
            traffic = shift(rollout, share, step, judged.move.reason)
        else:
            share = float(traffic.evidence["share"])
    entry: Entry | None = None
    if kind != "wait":
        entry = record(
            rollout,
            OUTCOMES[kind],
            judged.verdict,
            judged.move.reason,
            judged.evidence,
        )
    if kind == "abort":
        take_back(rollout, judged.move.reason, judged.verdict)
    return _look(rollout, kind, share, judged, traffic, entry)


def request_decision(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict, stage: StageName
) -> PersonsRequest:
    """Ask a person about a stage that decided nothing, and record the request in the ledger."""
    rollout = rollout_of(context, selected, verdict, stage)
    rollout.own_traffic()
    claim, held = rollout.claim, verdict_row(rollout)
    subject = f"{claim.use_case}: {rollout.stage.name} of version {claim.version} decided nothing"
    findings = Verdict.model_validate(held.evidence["verdict"]).findings
    body = (
        f"{held.reason}\n\n```\n{as_text(findings)}\n```\n\nDigest `{claim.digest}`, run"
        f" `{claim.run}`, try {context.run.try_number}.\n\n*Go on* lets the release continue as if"
        " the stage had passed, and stays visible in the ledger; *Roll back* gives all traffic to"
        " the version in service."
    )
    entry = rollout.ledger.append(
        "requested",
        claim.use_case,
        claim.version,
        claim.digest,
        actor_of(context),
        subject,
        rollout.evidence(
            f"{rollout.stage.name} held, try {context.run.try_number}",
            request=fingerprint(subject, body),
            try_number=context.run.try_number,
        ),
    )
    notify_release(context.settings, context.use_case, "held", entry)
    return PersonsRequest(
        version=claim.version,
        digest=claim.digest,
        subject=subject,
        body=body,
        ledger_row=entry.number,
    )


def apply_decision(
    context: StepContext,
    selected: SelectedVersion,
    verdict: PackageVerdict,
    stage: StageName,
    answered: PersonsAnswer,
) -> StageLook:
    """Go on by the right of a named person, or take everything back."""
    rollout = rollout_of(context, selected, verdict, stage)
    rollout.own_traffic()
    claim, name = rollout.claim, rollout.stage.name
    claim = claim_of(context, claim.version, claim.digest, answered.people)
    request = newest_row(rollout.ledger.rows(claim.use_case), claim, name, ("requested",))
    right = Right.to_override(context.use_case.release)
    judged = judge_answer(right, claim, request, answered.answer, answered.passed_on)
    if not judged.accepted:
        reason = " ".join(judged.reasons)
        taken = take_back(
            rollout, f"{name} decided nothing, and nobody let it go on: {reason}", judged
        )
        settle_decision(context.settings, context.use_case, "held", taken)
        return _decided(rollout, "abort", reason, judged, None)
    answer = answered.answer
    entry = rollout.ledger.append(
        "override",
        claim.use_case,
        claim.version,
        claim.digest,
        "" if answer is None else answer.responder_id or "",
        "" if answer is None else answer.reason,
        rollout.evidence(
            f"{name} overridden, try {context.run.try_number}",
            verdict=judged.model_dump(mode="json"),
        ),
    )
    settle_decision(context.settings, context.use_case, "held", entry)
    return _decided(rollout, "advance", entry.reason, judged, entry)


def _seconds_since(entry: Entry) -> float:
    return (datetime.now(UTC) - entry.recorded_at).total_seconds()


def _begun(rollout: Rollout, plan: int | None, entry: Entry, reason: str) -> BegunStage:
    return BegunStage(
        stage=rollout.stage.name,
        plan=plan,
        share=rollout.stage.share,
        since=entry.recorded_at.isoformat(),
        look_seconds=rollout.stage.look_seconds,
        reason=reason,
    )


def _look(
    rollout: Rollout,
    kind: str,
    share: float,
    judged: Judgement,
    traffic: Entry,
    entry: Entry | None,
) -> StageLook:
    return StageLook(
        accepted=kind in ("advance", "complete"),
        reasons=() if kind in ("advance", "complete") else (judged.move.reason,),
        stage=rollout.stage.name,
        move=kind,
        reason=judged.move.reason,
        share=share,
        plan=traffic.number,
        look_seconds=rollout.stage.look_seconds,
        verdict=judged.verdict.model_dump(mode="json"),
        ledger_row=None if entry is None else entry.number,
    )


def _decided(
    rollout: Rollout, kind: str, reason: str, verdict: Verdict, entry: Entry | None
) -> StageLook:
    return StageLook(
        accepted=kind == "advance",
        reasons=() if kind == "advance" else (reason,),
        stage=rollout.stage.name,
        move=kind,
        reason=reason,
        share=rollout.stage.share,
        plan=None,
        look_seconds=rollout.stage.look_seconds,
        verdict=verdict.model_dump(mode="json"),
        ledger_row=None if entry is None else entry.number,
    )
