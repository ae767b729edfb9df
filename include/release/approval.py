"""Who approved what: the decision whether a release carries an approval, from what Airflow's API
and the ledger know.

A task's state, its XCom and its log can be changed by everybody who may run the DAG, so that none
of them counts. What counts is the answer that Airflow recorded for the newest try of the request,
with the user that it authenticated, and the ledger's row of that very request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from include.errors import ReleaseError
from include.release.ledger import Entry
from include.spec import Release
from include.verdict import Finding, Verdict

APPROVE, REJECT, REQUEST_CHANGES = "Approve", "Reject", "Request changes"
GO_ON, TAKE_BACK = "Go on", "Roll back"
APPROVAL = "approval"
"""What a row's evidence says it is `about`, of a request to let a release begin."""
REASON = "why"
"""The form's field in which the person says why; `reason` is a parameter of the whole run."""
SHORTEST_REASON = 3
CLOCKS = timedelta(seconds=5)
"""How far the clocks of ledger and Airflow may differ."""


class Answer(BaseModel):
    """A request to a person as Airflow's API shows it, answered or not.

    `responder_id` is the user that Airflow authenticated; nobody where a time-out answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    try_number: int
    task_state: str
    subject: str
    body: str
    created_at: datetime
    answered_at: datetime | None = None
    chosen: tuple[str, ...] = ()
    responder_id: str | None = None
    responder_name: str | None = None
    inputs: dict[str, JsonValue] = {}

    @property
    def reason(self) -> str:
        """What the person typed."""
        return str(self.inputs.get(REASON) or "").strip()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of what the person was shown."""
        return fingerprint(self.subject, self.body)


@dataclass(frozen=True)
class Right:
    """A right that the specification gives to people by name: the option that uses it, all options
    that they are shown, and for how long the request holds.
    """

    people: tuple[str, ...]
    option: str
    options: tuple[str, ...]
    hours: float

    @classmethod
    def to_approve(cls, release: Release) -> Right:
        """To let a release begin."""
        options = (APPROVE, REJECT, REQUEST_CHANGES)
        return cls(release.approvers, APPROVE, options, release.approval_hours)

    @classmethod
    def to_override(cls, release: Release) -> Right:
        """To let a release go on although its analysis has not passed."""
        return cls(release.overriders, GO_ON, (GO_ON, TAKE_BACK), release.approval_hours)


@dataclass(frozen=True)
class Claim:
    """What a release says was approved: version and digest, in which run, started by whom.

    `requesters` are Airflow's names of the people who started this run or one that led to it;
    `four_eyes` is what is said of one of them who answers.
    """

    use_case: str
    version: int
    digest: str
    run: str
    requesters: tuple[str, ...]
    four_eyes: str = "started this release and may not approve it"


def fingerprint(subject: str, body: str) -> str:
    """The SHA-256 of a request as a person reads it."""
    return hashlib.sha256(f"{subject}\n{body}".encode()).hexdigest()


def judge_answer(
    right: Right,
    claim: Claim,
    request: Entry | None,
    answer: Answer | None,
    passed_on: JsonValue,
) -> Verdict:
    """Judge whether a named person used the right for exactly this claim, one finding a rule.

    :param request: the ledger's newest `requested` row of the claim's run.
    :param answer: the newest try of the request in Airflow's API; None where it was never made.
    :param passed_on: the result that the request's task left for the tasks after it (its XCom).
    """
    if answer is None or request is None:
        return Verdict(findings=(_never_asked(claim, request),))
    findings = [_same_request(claim, request, answer), _answered(answer)]
    if answer.answered_at is not None:
        findings += [
            _in_time(right, answer, answer.answered_at),
            _named(right, answer),
            _not_the_requester(claim, answer),
            _reasoned(answer),
            _chosen(right, answer),
        ]
    findings.append(_unchanged(answer, passed_on))
    return Verdict(findings=tuple(findings))


def require_approval(release: Release, claim: Claim, rows: Iterable[Entry]) -> Entry | None:
    """The ledger's row that approves exactly this claim; None where the policy asks for none.

    Raises `ReleaseError` unless the newest row among the run's `requested`, `approved` and
    `rejected` approves version and digest.
    """
    if not release.needs_approval:
        return None
    newest = newest_row(rows, claim, APPROVAL, ("requested", "approved", "rejected"))
    what = f"Version {claim.version} of {claim.use_case} (digest {claim.digest[:16]})"
    if newest is None:
        raise ReleaseError(
            f"{what} is not approved: the ledger has no request of run {claim.run}. Start a new"
            " deployment, and let its tasks run."
        )
    if newest.event != "approved":
        state = "was rejected" if newest.event == "rejected" else "waits for an answer"
        raise ReleaseError(
            f"{what} is not approved: it {state} (row {newest.number} of the ledger, by"
            f" {newest.actor}: {newest.reason}). What a task's state or result says does not count."
        )
    if (newest.version, newest.digest) != (claim.version, claim.digest):
        raise ReleaseError(
            f"{what} is not approved: row {newest.number} of the ledger approves version"
            f" {newest.version} with digest {newest.digest[:16]}. Start a new deployment."
        )
    return newest


def newest_row(
    rows: Iterable[Entry], claim: Claim, about: str, events: tuple[str, ...]
) -> Entry | None:
    """The newest of these rows that the claim's run wrote about that request."""
    own = (
        row
        for row in rows
        if row.event in events
        and (row.use_case, row.run, row.evidence.get("about")) == (claim.use_case, claim.run, about)
    )
    return max(own, key=lambda row: row.number, default=None)


def _never_asked(claim: Claim, request: Entry | None) -> Finding:
    who = "the ledger" if request is None else "Airflow"
    return _finding(
        "request",
        passed=False,
        observed=None,
        limit="a request in the ledger and in Airflow",
        reason=f"{who} knows no request of run {claim.run}: the task was marked, not run.",
    )


def _same_request(claim: Claim, request: Entry, answer: Answer) -> Finding:
    """What the person read is what the ledger says was shown, for this version and digest."""
    differences = []
    if (request.version, request.digest) != (claim.version, claim.digest):
        differences.append(
            f"it was asked for version {request.version} with digest {request.digest[:16]}, and"
            f" released is version {claim.version} with digest {claim.digest[:16]}"
        )
    if request.evidence.get("request") != answer.fingerprint:
        differences.append("Airflow shows another text than the ledger recorded")
    if request.evidence.get("try_number") != answer.try_number:
        differences.append(
            f"the ledger recorded try {request.evidence.get('try_number')}, and Airflow's newest is"
            f" try {answer.try_number}; an answer counts for its own try only"
        )
    return _finding(
        "request",
        passed=not differences,
        observed=answer.try_number,
        limit=f"version {claim.version}, digest {claim.digest[:16]}",
        reason=f"The request is another one: {'; '.join(differences)}." if differences else "",
    )


def _answered(answer: Answer) -> Finding:
    return _finding(
        "answer",
        passed=answer.answered_at is not None,
        observed=answer.task_state,
        limit="an answer of a person",
        reason=""
        if answer.answered_at is not None
        else (
            f"Nobody has answered try {answer.try_number} of the request; its task is"
            f" {answer.task_state!r} because somebody marked or cleared it."
        ),
    )


def _in_time(right: Right, answer: Answer, answered: datetime) -> Finding:
    waited = answered - answer.created_at
    limit = timedelta(hours=right.hours)
    passed = waited <= limit + CLOCKS
    return _finding(
        "expiry",
        passed=passed,
        observed=str(waited),
        limit=f"{right.hours:g} hours",
        reason="" if passed else f"The answer came after {waited}; the request had expired.",
    )


def _named(right: Right, answer: Answer) -> Finding:
    passed = answer.responder_id in right.people
    who = answer.responder_id or "nobody (a time-out answered)"
    return _finding(
        "approver",
        passed=passed,
        observed=answer.responder_id,
        limit=list(right.people),
        reason=""
        if passed
        else f"{who} may not choose {right.option!r}; that right have {list(right.people)}.",
    )


def _not_the_requester(claim: Claim, answer: Answer) -> Finding:
    own = {answer.responder_id, answer.responder_name} & set(claim.requesters)
    return _finding(
        "four_eyes",
        passed=not own,
        observed=answer.responder_id,
        limit=f"not {list(claim.requesters)}",
        reason=f"{answer.responder_id} {claim.four_eyes}." if own else "",
    )


def _reasoned(answer: Answer) -> Finding:
    passed = len(answer.reason) >= SHORTEST_REASON
    return _finding(
        "reason",
        passed=passed,
        observed=answer.reason,
        limit=f"{SHORTEST_REASON} characters",
        reason="" if passed else "The answer gives no reason; type one.",
    )


def _chosen(right: Right, answer: Answer) -> Finding:
    passed = answer.chosen == (right.option,)
    choice = ", ".join(answer.chosen)
    return _finding(
        "decision",
        passed=passed,
        observed=list(answer.chosen),
        limit=right.option,
        reason=""
        if passed
        else f"{answer.responder_id} chose {choice!r}: {answer.reason or 'without a reason'}.",
    )


def _unchanged(answer: Answer, passed_on: JsonValue) -> Finding:
    """What the task passed on is what the person answered."""
    content: Mapping[str, Any] = passed_on if isinstance(passed_on, Mapping) else {}
    user = content.get("responded_by_user")
    responder = user.get("id") if isinstance(user, Mapping) else None
    chosen = content.get("chosen_options") or []
    passed = (tuple(chosen), responder) == (answer.chosen, answer.responder_id)
    return _finding(
        "task_result",
        passed=passed,
        observed={"chosen": list(chosen), "responder": responder},
        limit={"chosen": list(answer.chosen), "responder": answer.responder_id},
        reason=""
        if passed
        else (
            f"The task's result says {list(chosen)} by {responder}, Airflow recorded"
            f" {list(answer.chosen)} by {answer.responder_id}: somebody edited it or marked the"
            " task."
        ),
    )


def _finding(
    rule: str, *, passed: bool, observed: JsonValue, limit: JsonValue, reason: str
) -> Finding:
    return Finding(
        rule=rule,
        subject="approval",
        observed=observed,
        limit=limit,
        passed=passed,
        reason=reason or "as the policy asks.",
    )
