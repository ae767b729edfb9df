"""The steps by which a named person lets a release begin: ask, and decide what the answer is worth.

Both leave a row of the ledger, and only the ledger's `approved` row lets traffic move
(`include.release.approval.require_approval`): results of tasks pass through Airflow, where
everybody who may run the DAG can edit them.
"""

from __future__ import annotations

from include.errors import RegistryError, ReleaseError
from include.processes.release_notices import notify_release, settle_decision
from include.processes.release_results import ApprovalVerdict, PersonsAnswer, PersonsRequest
from include.processes.results import PackageVerdict, SelectedVersion
from include.registry import versions
from include.release.approval import (
    APPROVAL,
    Claim,
    Right,
    fingerprint,
    judge_answer,
    newest_row,
)
from include.release.ledger import Entry, Ledger
from include.spec import Release
from include.started_by import events_of, who_started
from include.steps import StepContext
from include.verdict import PACKAGE_COLUMNS

NOBODY = "nobody"
CARD_CHARACTERS = 20_000


def request_approval(
    context: StepContext, selected: SelectedVersion, verdict: PackageVerdict
) -> PersonsRequest:
    """Write what an approver must know, one screen first, and record the request in the ledger.

    Asking again on the same try gives the same request.
    """
    name, ledger = context.use_case.name, Ledger(context.settings)
    current = ledger.current(name)
    subject = (
        f"Release version {selected.version} of {name}"
        f" ({context.use_case.release.risk_class} risk)?"
    )
    body = _body(context, selected, verdict, current)
    entry = ledger.append(
        "requested",
        name,
        selected.version,
        selected.digest,
        actor_of(context),
        selected.reason,
        {
            "run": context.run.as_json(),
            "about": APPROVAL,
            "step": f"request_approval, try {context.run.try_number}",
            "request": fingerprint(subject, body),
            "try_number": context.run.try_number,
            "asked": list(context.use_case.release.approvers),
        },
    )
    notify_release(context.settings, context.use_case, "approval_requested", entry)
    return PersonsRequest(
        version=selected.version,
        digest=selected.digest,
        subject=subject,
        body=body,
        ledger_row=entry.number,
    )


def check_approval(
    context: StepContext,
    selected: SelectedVersion,
    verdict: PackageVerdict,
    answered: PersonsAnswer,
) -> ApprovalVerdict:
    """Decide whether a named person approved exactly this version and digest, and record it."""
    if (verdict.version, verdict.digest) != (selected.version, selected.digest):
        raise ReleaseError(
            f"Checked was version {verdict.version} ({verdict.digest[:16]}), selected is version"
            f" {selected.version} ({selected.digest[:16]}): start the deployment again."
        )
    claim = claim_of(context, selected.version, selected.digest, answered.people)
    ledger = Ledger(context.settings)
    request = newest_row(ledger.rows(claim.use_case), claim, APPROVAL, ("requested",))
    judged = judge_answer(
        Right.to_approve(context.use_case.release),
        claim,
        request,
        answered.answer,
        answered.passed_on,
    )
    answer = answered.answer
    reason = " ".join(judged.reasons) or ("" if answer is None else answer.reason)
    entry = ledger.append(
        "approved" if judged.accepted else "rejected",
        claim.use_case,
        claim.version,
        claim.digest,
        NOBODY if answer is None else answer.responder_id or NOBODY,
        reason,
        {
            "run": context.run.as_json(),
            "about": APPROVAL,
            "step": f"check_approval, try {context.run.try_number}",
            "verdict": judged.model_dump(mode="json"),
            "requesters": list(claim.requesters),
            "request_row": None if request is None else request.number,
        },
    )
    settle_decision(context.settings, context.use_case, "approval_requested", entry)
    return ApprovalVerdict(
        accepted=judged.accepted,
        reasons=tuple(judged.reasons),
        version=claim.version,
        digest=claim.digest,
        approver=None if answer is None else answer.responder_id,
        reason=reason,
        checks={finding.rule: finding.as_row(PACKAGE_COLUMNS) for finding in judged.findings},
        ledger_row=entry.number,
    )


def expire_approval(context: StepContext, selected: SelectedVersion) -> ApprovalVerdict:
    """Record that nobody answered in time: nothing is released."""
    hours = context.use_case.release.approval_hours
    reason = f"Nobody answered within {hours:g} hours."
    entry = Ledger(context.settings).append(
        "rejected",
        context.use_case.name,
        selected.version,
        selected.digest,
        NOBODY,
        reason,
        {
            "run": context.run.as_json(),
            "about": APPROVAL,
            "step": f"request_approval expired, try {context.run.try_number}",
        },
    )
    settle_decision(context.settings, context.use_case, "approval_requested", entry)
    return ApprovalVerdict(
        accepted=False,
        reasons=(reason,),
        version=selected.version,
        digest=selected.digest,
        approver=None,
        reason=reason,
        checks={},
        ledger_row=entry.number,
    )


def claim_of(
    context: StepContext, version: int, digest: str, people: tuple[str, ...] = ()
) -> Claim:
    """What this run wants to release."""
    own = (context.run.triggered_by,) if context.run.triggered_by else ()
    return Claim(
        use_case=context.use_case.name,
        version=version,
        digest=digest,
        run=f"{context.run.process}/{context.run.run_id}",
        requesters=tuple(dict.fromkeys((*own, *people))),
    )


def actor_of(context: StepContext) -> str:
    """Who a row of this run is attributed to: the person who started it, or what did."""
    run = context.run
    events = [
        (event["asset"], event.get("source_dag_id")) for event in run.causes if "asset" in event
    ]
    return who_started([], run.trigger, run.triggered_by or events_of(events))


def _body(
    context: StepContext,
    selected: SelectedVersion,
    verdict: PackageVerdict,
    current: Entry | None,
) -> str:
    release = context.use_case.release
    if current is None:
        serving = "nothing: this is the first release"
    else:
        since = f"{current.recorded_at:%Y-%m-%d %H:%M} UTC"
        serving = f"version {current.version} since {since} ({current.actor}: {current.reason})"
    rows = {
        "Risk class": release.risk_class,
        "In service now": serving,
        "How it is released": strategy_sentence(release),
        "Package": f"{len(verdict.checks)} checks passed"
        if verdict.accepted
        else f"refused: {'; '.join(verdict.reasons)}",
        "Asked for by": f"{actor_of(context)}: {selected.reason}",
        "Digest": f"`{selected.digest}`",
        "Run": f"`{context.run.run_id}`, try {context.run.try_number}",
    }
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return f"| | |\n|---|---|\n{table}\n\n{_page(context, selected)}"


def _page(context: StepContext, selected: SelectedVersion) -> str:
    """The version's page for reviewers; why it cannot be read, where MLflow is away."""
    from mlflow.exceptions import MlflowException

    try:
        registered = versions.version(context.settings, context.use_case, selected.version)
    except (RegistryError, MlflowException) as error:
        return f"The page of version {selected.version} cannot be read: {error}"
    return registered.description[:CARD_CHARACTERS]


def strategy_sentence(release: Release) -> str:
    """How the release brings a version into service, for people."""
    strategy = release.strategy
    if strategy.kind == "canary":
        steps = ", ".join(f"{100 * share:g} %" for share in strategy.steps)
        return f"canary over {steps}, each baked for {strategy.bake_seconds:g} s"
    if strategy.kind == "blue_green":
        return f"all traffic at once, switched back within {strategy.switch_back_minutes:g} minutes"
    if strategy.kind == "shadow":
        return f"compared on live requests for {strategy.minutes:g} minutes first"
    if strategy.kind == "ab":
        return f"A/B test of {strategy.metric} at a share of {100 * strategy.share:g} %"
    if strategy.kind == "bandit":
        return f"bandit, at least {100 * strategy.floor:g} % for each version"
    return "all traffic at once"


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
