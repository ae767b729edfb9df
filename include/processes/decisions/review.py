"""The steps by which a named person reviews one decision: ask, and decide what the answer is worth.

Both leave a row of the release ledger, and only its row `reviewed` counts: results of tasks pass
through Airflow, where everybody who may run the DAG can edit them.
"""

from __future__ import annotations

from typing import Any

from include.decisions.page import review_page
from include.decisions.record import decision_record
from include.decisions.reviews import (
    ABOUT,
    ID,
    REFUSED,
    REQUESTED,
    Decided,
    record_review,
    replacement,
)
from include.decisions.right import DECISION, OPTIONS, right_to
from include.errors import DataError, ReleaseError, SpecError
from include.processes.approval import NOBODY, actor_of
from include.processes.release_results import DecisionReview, PersonsAnswer, PersonsRequest
from include.release.approval import Answer, Claim, fingerprint, judge_answer
from include.release.ledger import Entry, Ledger
from include.steps import StepContext
from include.verdict import PACKAGE_COLUMNS, Finding, Verdict


def request_review(context: StepContext) -> PersonsRequest:
    """Gather what is recorded about the decision, write it for the reviewer, and record the request
    in the ledger.

    Asking again on the same try gives the same request. Raises `SpecError` where the run names no
    decision, or one that the log does not have.
    """
    use_case, run = context.use_case, context.run
    prediction_id = str(run.params.get(ID) or "").strip()
    reason = str(run.params.get("reason") or "").strip()
    if not prediction_id or not reason:
        raise SpecError(
            f"A run of {use_case.dag_id(run.process)} needs the parameters {ID!r}, which stands in"
            " every row of an answer, and 'reason': why the decision is contested."
        )
    try:
        record = decision_record(context.settings, use_case, prediction_id)
    except DataError as error:
        raise SpecError(str(error)) from error
    model, requester = record.answered_by, actor_of(context)
    subject = f"Uphold the decision {prediction_id} of {use_case.name}, or overturn it?"
    body = review_page(
        use_case, record, f"{requester}, run {run.run_id}, try {run.try_number}", reason
    )
    entry = Ledger(context.settings).append(
        REQUESTED,
        use_case.name,
        model.version,
        model.digest or "",
        requester,
        reason,
        {
            "run": run.as_json(),
            "about": ABOUT,
            "step": f"request_review, try {run.try_number}",
            ID: prediction_id,
            "answered_at": record.answered_at,
            "answered": record.decided,
            "same_when_scored_again": record.again.same,
            "request": fingerprint(subject, body),
            "try_number": run.try_number,
            "asked": list(use_case.review.reviewers),
        },
    )
    return PersonsRequest(
        version=model.version,
        digest=model.digest or "",
        subject=subject,
        body=body,
        ledger_row=entry.number,
    )


def close_review(context: StepContext, answered: PersonsAnswer) -> DecisionReview:
    """Decide whether a named person's answer counts, and record what it says.

    What it is about is read from the ledger's row of the request, not from what tasks pass on.
    """
    ledger = Ledger(context.settings)
    request = _request(context, ledger)
    answer = answered.answer
    chosen = answer.chosen[0] if answer is not None and len(answer.chosen) == 1 else ""
    judged = judge_answer(
        right_to(context.use_case.review, chosen),
        _claim(context, request, answered.people),
        request,
        answer,
        answered.passed_on,
    )
    decided, finding = _decided(context, request, answer, chosen)
    verdict = Verdict(findings=(*judged.findings, *([finding] if finding else ())))
    evidence: dict[str, Any] = {
        "run": context.run.as_json(),
        "step": f"close_review, try {request.evidence['try_number']} of the request",
        "verdict": verdict.model_dump(mode="json"),
        "requesters": list(_claim(context, request, answered.people).requesters),
    }
    if answer is None or decided is None or not verdict.accepted:
        return _refused(ledger, request, answer, verdict, evidence)
    person = str(answer.responder_id)
    review = record_review(
        ledger, request, decided, reviewer=person, reason=answer.reason, **evidence
    )
    return DecisionReview(
        accepted=True,
        reasons=(),
        prediction_id=review.prediction_id,
        version=review.version,
        digest=review.digest,
        outcome=review.outcome,
        decision=review.decision,
        reviewer=review.reviewer,
        reason=review.reason,
        checks=_checks(verdict),
        ledger_row=review.number,
        earlier=review.earlier,
    )


def expire_review(context: StepContext) -> DecisionReview:
    """Record that nobody answered in time: the decision stands as it was, unreviewed."""
    ledger = Ledger(context.settings)
    reason = f"Nobody answered within {context.use_case.review.hours:g} hours."
    evidence: dict[str, Any] = {
        "run": context.run.as_json(),
        "step": f"expired, try {context.run.try_number}",
    }
    finding = _finding("answer", passed=False, reason=reason)
    verdict = Verdict(findings=(finding,))
    return _refused(ledger, _request(context, ledger), None, verdict, evidence)


def _claim(context: StepContext, request: Entry, people: tuple[str, ...]) -> Claim:
    starter = (context.run.triggered_by,) if context.run.triggered_by else ()
    return Claim(
        use_case=request.use_case,
        version=request.version,
        digest=request.digest,
        run=f"{context.run.process}/{context.run.run_id}",
        requesters=tuple(dict.fromkeys((*starter, *people))),
        four_eyes="asked for this review and may not answer it",
    )


def _request(context: StepContext, ledger: Ledger) -> Entry:
    """The newest request that this run has made. Raises `SpecError` where it has made none."""
    name = f"{context.run.process}/{context.run.run_id}"
    for row in reversed(ledger.rows(context.use_case.name)):
        if row.event == REQUESTED and row.run == name:
            return row
    raise SpecError(
        f"The ledger has no request of run {name}: its task was marked, not run. Start a new run."
    )


def _decided(
    context: StepContext, request: Entry, answer: Answer | None, chosen: str
) -> tuple[Decided | None, Finding | None]:
    """What the answer says, or the finding that it says nothing that could be."""
    if answer is None or chosen not in OPTIONS:
        return None, None
    typed = str(answer.inputs.get(DECISION) or "").strip()
    outcome = OPTIONS[chosen]
    try:
        decided = replacement(context.use_case, outcome, request.evidence["answered"], typed)
    except ReleaseError as error:
        return None, _finding("replacement", passed=False, reason=str(error))
    return decided, _finding("replacement", passed=True, reason="it fits the problem.")


def _refused(
    ledger: Ledger,
    request: Entry,
    answer: Answer | None,
    verdict: Verdict,
    evidence: dict[str, Any],
) -> DecisionReview:
    reviewer = None if answer is None else answer.responder_id
    reason = " ".join(verdict.reasons)
    entry = ledger.append(
        REFUSED,
        request.use_case,
        request.version,
        request.digest,
        reviewer or NOBODY,
        reason,
        {
            **evidence,
            "about": ABOUT,
            ID: request.evidence[ID],
            "request_row": request.number,
        },
    )
    return DecisionReview(
        accepted=False,
        reasons=tuple(verdict.reasons),
        prediction_id=request.evidence[ID],
        version=request.version,
        digest=request.digest,
        outcome=None,
        decision=None,
        reviewer=reviewer,
        reason=reason,
        checks=_checks(verdict),
        ledger_row=entry.number,
    )


def _checks(verdict: Verdict) -> dict[str, Any]:
    return {finding.rule: finding.as_row(PACKAGE_COLUMNS) for finding in verdict.findings}


def _finding(rule: str, *, passed: bool, reason: str) -> Finding:
    return Finding(rule=rule, subject="review", passed=passed, reason=reason)
