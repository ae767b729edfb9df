"""What an approval is worth: only a named person's answer to this very request counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from include.errors import ReleaseError
from include.release.approval import (
    APPROVAL,
    APPROVE,
    REASON,
    REJECT,
    REQUEST_CHANGES,
    Answer,
    Claim,
    Right,
    fingerprint,
    judge_answer,
    require_approval,
)
from include.release.ledger import GENESIS, Entry
from include.spec import Release
from include.verdict import Verdict

MOMENT = datetime(2026, 11, 29, 14, tzinfo=UTC)
DIGEST, OTHER = "a" * 64, "b" * 64
RELEASE = Release(approval="all", approvers=("reviewer", "second"), approval_hours=2)
CLAIM = Claim("flight_delays", 7, DIGEST, "deployment/run_1", ("engineer",))
ANSWER = Answer(
    task_id="request_approval",
    try_number=1,
    task_state="success",
    subject="Release version 7?",
    body=f"Digest {DIGEST}",
    created_at=MOMENT,
    answered_at=MOMENT + timedelta(minutes=5),
    chosen=(APPROVE,),
    responder_id="reviewer",
    responder_name="reviewer",
    inputs={REASON: "better on every slice"},
)
PASSED_ON: JsonValue = {
    "chosen_options": [APPROVE],
    "responded_by_user": {"id": "reviewer", "name": "reviewer"},
}


def row(event: str, number: int = 1, **changes: Any) -> Entry:
    evidence = {
        "run": {"process": "deployment", "run_id": "run_1"},
        "about": APPROVAL,
        "request": fingerprint(ANSWER.subject, ANSWER.body),
        "try_number": 1,
        **changes.pop("evidence", {}),
    }
    fields: dict[str, Any] = {"version": 7, "digest": DIGEST, "actor": "engineer", **changes}
    return Entry(
        number=number,
        recorded_at=MOMENT,
        event=event,
        use_case="flight_delays",
        reason="because",
        evidence=evidence,
        previous=GENESIS,
        **fields,
    )


def judge(
    answer: Answer | None = ANSWER,
    request: Entry | None = None,
    claim: Claim = CLAIM,
    passed_on: JsonValue = PASSED_ON,
) -> Verdict:
    return judge_answer(
        Right.to_approve(RELEASE), claim, request or row("requested"), answer, passed_on
    )


def answered(**changes: Any) -> Answer:
    return ANSWER.model_copy(update=changes)


def by(name: str | None, **changes: Any) -> tuple[Answer, JsonValue]:
    """An answer of another user, passed on as it was given."""
    answer = answered(responder_id=name, responder_name=name, **changes)
    user = None if name is None else {"id": name, "name": name}
    return answer, {"chosen_options": list(answer.chosen), "responded_by_user": user}


def test_a_named_persons_answer_to_this_very_request_approves() -> None:
    assert judge().accepted


@pytest.mark.parametrize(
    ("case", "rule", "words"),
    [
        (lambda: judge(*_answer("stranger")), "approver", "stranger may not choose 'Approve'"),
        (lambda: judge(*_answer(None)), "approver", "a time-out answered"),
        (
            lambda: judge(claim=replace(CLAIM, requesters=("reviewer",))),
            "four_eyes",
            "reviewer started this release",
        ),
        (
            lambda: judge(claim=replace(CLAIM, digest=OTHER)),
            "request",
            f"and released is version 7 with digest {OTHER[:16]}",
        ),
        (
            lambda: judge(answered(body="Digest of something else")),
            "request",
            "another text than the ledger recorded",
        ),
        (
            lambda: judge(answered(try_number=2)),
            "request",
            "the ledger recorded try 1, and Airflow's newest is try 2",
        ),
        (
            lambda: judge(answered(answered_at=MOMENT + timedelta(hours=3))),
            "expiry",
            "the request had expired",
        ),
        (
            lambda: judge(answered(inputs={REASON: "  "})),
            "reason",
            "gives no reason",
        ),
        (
            lambda: judge(
                answered(answered_at=None, chosen=(), responder_id=None, responder_name=None)
            ),
            "answer",
            "Nobody has answered try 1 of the request; its task is 'success' because somebody",
        ),
        (
            lambda: judge(passed_on=None),
            "task_result",
            "somebody edited it or marked the task",
        ),
        (
            lambda: judge(*_answer("reviewer", chosen=(REJECT,))),
            "decision",
            "reviewer chose 'Reject': better on every slice",
        ),
        (
            lambda: judge(*_answer("reviewer", chosen=(REQUEST_CHANGES,))),
            "decision",
            "reviewer chose 'Request changes'",
        ),
        (lambda: judge(answer=None), "request", "Airflow knows no request of run"),
    ],
)
def test_anything_else_is_refused_by_name(
    case: Callable[[], Verdict], rule: str, words: str
) -> None:
    verdict = case()
    assert not verdict.accepted
    assert rule in [finding.rule for finding in verdict.refused]
    assert words in " ".join(verdict.reasons)


def _answer(name: str | None, **changes: Any) -> tuple[Any, ...]:
    answer, passed_on = by(name, **changes)
    return answer, None, CLAIM, passed_on


def test_an_edited_result_that_claims_an_approval_is_refused_although_it_looks_right() -> None:
    rejected, _ = by("reviewer", chosen=(REJECT,))
    verdict = judge(rejected, passed_on=PASSED_ON)
    assert {finding.rule for finding in verdict.refused} == {"decision", "task_result"}


def test_a_request_that_the_ledger_does_not_know_is_refused() -> None:
    verdict = judge_answer(Right.to_approve(RELEASE), CLAIM, None, ANSWER, PASSED_ON)
    assert "the ledger knows no request of run deployment/run_1" in " ".join(verdict.reasons)


def test_a_policy_without_approval_needs_no_row() -> None:
    assert require_approval(Release(), CLAIM, []) is None


def test_the_newest_row_about_the_approval_decides() -> None:
    rows = [row("requested", 1), row("approved", 2)]
    assert require_approval(RELEASE, CLAIM, rows) == rows[1]
    with pytest.raises(ReleaseError, match="it waits for an answer"):
        require_approval(RELEASE, CLAIM, [*rows, row("requested", 3)])
    with pytest.raises(ReleaseError, match="it was rejected"):
        require_approval(RELEASE, CLAIM, [*rows, row("rejected", 3)])


def test_an_approval_of_another_run_or_another_digest_is_not_replayed() -> None:
    other_run = {"run": {"process": "deployment", "run_id": "run_0"}}
    with pytest.raises(ReleaseError, match="no request of run deployment/run_1"):
        require_approval(RELEASE, CLAIM, [row("approved", 2, evidence=other_run)])
    with pytest.raises(ReleaseError, match="row 2 of the ledger approves version 7 with digest bb"):
        require_approval(RELEASE, CLAIM, [row("approved", 2, digest=OTHER)])


def test_a_request_about_a_stage_says_nothing_about_the_approval() -> None:
    rows = [row("approved", 2), row("requested", 3, evidence={"about": "shift_to_5_percent"})]
    assert require_approval(RELEASE, CLAIM, rows) == rows[0]
