"""An approval in a real Airflow: what lets a release begin, and everything that looks as if it
did.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cli.application import invoke
from cli.platform.environment import passwords
from include.decisions.reviews import all_reviews, open_request
from include.errors import PlatformError
from include.release.approval import APPROVE
from include.release.approval import REASON as FIELD
from include.release.ledger import Ledger
from proofs.faults.approval_steps import DIGEST
from proofs.faults.office import (
    ASK,
    DAG,
    EXPIRING,
    GATE,
    PERSON_SECONDS,
    PROMOTE,
    REASON,
    REVIEW,
    Office,
    open_office,
)

pytestmark = pytest.mark.slow
PASSED_ON = {
    "chosen_options": [APPROVE],
    "responded_by_user": {"id": "reviewer", "name": "reviewer"},
    "params_input": {FIELD: REASON},
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("approval")) as office:
        yield office


def refused(office: Office, case: str) -> str:
    """Why the ledger says that the run was refused."""
    assert office.end(case) == f"{GATE} failed"
    # Airflow loses what is cleared while it ends a run.
    office.airflow.wait_for(
        f"end the run of {case}", lambda: office.engineer.run_state(DAG, case) == "failed"
    )
    newest = office.rows(case)[-1]
    assert newest.event == "rejected"
    return newest.reason


def test_a_stranger_cannot_answer(office: Office) -> None:
    assert office.asked("approved", office.engineer) == httpx.codes.FORBIDDEN
    assert office.engineer.states(DAG, "approved")[ASK] == "awaiting_input"


def test_a_named_persons_approval_releases_and_stands_in_the_ledger(office: Office) -> None:
    assert office.asked("approved", office.reviewer) == httpx.codes.OK
    assert office.end("approved") == "released"
    requested, approved = office.rows("approved")
    assert (requested.event, requested.actor) == ("requested", "engineer")
    assert (approved.event, approved.actor) == ("approved", "reviewer")
    assert (approved.reason, approved.digest) == ("better on every slice", DIGEST)


def test_an_approval_that_is_cleared_and_marked_counts_no_more(office: Office) -> None:
    assert office.engineer.clear(DAG, "approved", ASK, GATE, PROMOTE) == httpx.codes.OK
    office.wait("approved", ASK, "awaiting_input")
    assert office.engineer.mark(DAG, "approved", ASK) == httpx.codes.OK
    assert "Nobody has answered try 2 of the request" in refused(office, "approved")
    assert office.engineer.mark(DAG, "approved", GATE) == httpx.codes.OK
    office.engineer.clear(DAG, "approved", PROMOTE)
    office.wait("approved", PROMOTE, "up_for_retry", "failed")


def test_a_task_that_is_marked_success_approves_nothing(office: Office) -> None:
    office.wait("marked", ASK, "awaiting_input")
    assert office.engineer.mark(DAG, "marked", ASK) == httpx.codes.OK
    assert "its task is 'success' because somebody marked or cleared it" in refused(
        office, "marked"
    )


def test_an_edited_result_approves_nothing_and_neither_does_a_marked_gate(office: Office) -> None:
    office.wait("edited", ASK, "awaiting_input")
    assert office.engineer.edit(DAG, "edited", ASK, PASSED_ON) < httpx.codes.BAD_REQUEST
    assert office.engineer.mark(DAG, "edited", ASK) == httpx.codes.OK
    assert "somebody edited it or marked the task" in refused(office, "edited")
    accepted: dict[str, Any] = {"accepted": True, "reasons": [], "version": 7, "digest": DIGEST}
    office.engineer.edit(DAG, "edited", GATE, accepted)
    assert office.engineer.mark(DAG, "edited", GATE) == httpx.codes.OK
    office.engineer.clear(DAG, "edited", PROMOTE)
    office.wait("edited", PROMOTE, "up_for_retry", "failed")


def test_an_approval_for_another_digest_approves_nothing(office: Office) -> None:
    office.wait("digest", ASK, "awaiting_input")
    for task, more in (
        ("select_version", {"mlflow_run_id": "run", "reason": "r", "after": 0}),
        ("check_package", {"accepted": True, "reasons": [], "checks": {}}),
    ):
        other = {"version": 7, "digest": "b" * 64, **more}
        assert office.engineer.edit(DAG, "digest", task, other) < httpx.codes.BAD_REQUEST
    assert office.asked("digest", office.reviewer) == httpx.codes.OK
    reason = refused(office, "digest")
    assert "asked for version 7 with digest aaaaaaaaaaaaaaaa, and released is" in reason


def test_whoever_started_the_release_may_not_approve_it(office: Office) -> None:
    assert office.asked("self", office.reviewer) == httpx.codes.OK
    assert "reviewer started this release and may not approve it" in refused(office, "self")


def test_a_contested_decision_is_reviewed_by_who_may_and_not_by_who_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = f"{time.time_ns() // 10**6:012x}7{'0' * 3}8{'0' * 15}"
    office.log_answer(identifier)
    about = ["flight_delays", identifier, "--reason", "the flight was on time"]
    office.engineer.wait_for_dag(REVIEW)
    invoke(["decisions", "request", *about], office.settings)
    ledger = Ledger(office.settings)
    asked = office.airflow.wait_for(
        "ask for the review", lambda: open_request(ledger.rows("flight_delays"), identifier)
    )
    run_id = str(asked.run).partition("/")[2]
    office.wait(run_id, "request_review", "awaiting_input", dag_id=REVIEW)
    time.sleep(PERSON_SECONDS)
    overturn = ["decisions", "review", *about, "--outcome", "overturned", "--user"]
    for person in ("engineer", "reviewer"):
        monkeypatch.setenv("FLIGHTDECK_PASSWORD", passwords(office.settings)[person])
        if person == asked.actor:
            with pytest.raises(PlatformError, match="403"):
                invoke([*overturn, person], office.settings)
        else:
            invoke([*overturn, person], office.settings)
    office.wait(run_id, "close_review", "success", "failed", dag_id=REVIEW)
    (review,) = all_reviews(office.settings, "flight_delays")
    assert (review.prediction_id, review.outcome, review.decision) == (
        identifier,
        "overturned",
        True,
    )
    assert (review.reviewer, review.requested_by) == ("reviewer", ("engineer",))
    assert ledger.verify().number >= review.number


def test_an_expired_request_ends_the_release(office: Office) -> None:
    office.wait("expired", ASK, "failed", dag_id=EXPIRING)
    assert office.end("expired", EXPIRING) == f"{GATE} upstream_failed"
    newest = office.rows("expired")[-1]
    assert (newest.event, newest.actor) == ("rejected", "nobody")
    assert "Nobody answered within" in newest.reason
