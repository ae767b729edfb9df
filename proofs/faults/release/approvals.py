"""What looks like an approval and is none, in a real Airflow; and its scheduler is killed while a
release waits for a person.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from include.errors import PlatformError
from include.release.approval import APPROVE
from include.release.approval import REASON as FIELD
from proofs.faults.approval_steps import DIGEST
from proofs.faults.line import Line
from proofs.faults.office import (
    ASK,
    CASES,
    DAG,
    GATE,
    PROMOTE,
    REASON,
    Office,
    open_office,
)

PASSED_ON = {
    "chosen_options": [APPROVE],
    "responded_by_user": {"id": "reviewer", "name": "reviewer"},
    "params_input": {FIELD: REASON},
}
KILLED = "killed"
SHOWN = 200

OfficeDrill = Callable[[Office], Line]


def approval_lines(folder: Path, report: Callable[[Line, float], None]) -> list[Line]:
    """One line for each way around, all in one Airflow; `report` is called with each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    with open_office(folder, (*CASES, KILLED)) as office:
        for drill in DRILLS:
            started = time.monotonic()
            line = _attempt(drill, office)
            report(line, time.monotonic() - started)
            lines.append(line)
    return lines


def stranger(office: Office) -> Line:
    """Somebody answers who is not among the approvers."""
    status = office.asked("approved", office.engineer)
    state = office.engineer.states(DAG, "approved")[ASK]
    return Line(
        "a stranger's approval",
        f"{httpx.codes.FORBIDDEN:d}, still awaiting_input",
        f"{status}, still {state}",
        "Airflow lets only the named people answer; check_approval asks again who it was",
    )


def approved(office: Office) -> Line:
    """A named person approves."""
    office.asked("approved", office.reviewer)
    end = office.end("approved")
    row = office.rows("approved")[-1]
    return Line(
        "approval by a named person",
        "released; ledger: approved by reviewer",
        f"{end}; ledger: {row.event} by {row.actor}",
        row.reason,
    )


def self_approval(office: Office) -> Line:
    """Whoever started the release answers."""
    office.asked("self", office.reviewer)
    return _refused("self-approval", office, "self", "started this release")


def other_digest(office: Office) -> Line:
    """The selected version is edited after the request was made."""
    office.wait("digest", ASK, "awaiting_input")
    other = {"version": 7, "digest": "b" * 64}
    selected = {**other, "mlflow_run_id": "run", "reason": "r", "after": 0}
    office.engineer.edit(DAG, "digest", "select_version", selected)
    checked = {**other, "accepted": True, "reasons": [], "checks": {}}
    office.engineer.edit(DAG, "digest", "check_package", checked)
    office.asked("digest", office.reviewer)
    return _refused("approval for another digest", office, "digest", "asked for version 7 with")


def marked(office: Office) -> Line:
    """The request's task is marked success, and nobody answered."""
    office.wait("marked", ASK, "awaiting_input")
    office.engineer.mark(DAG, "marked", ASK)
    return _refused("approval task marked success", office, "marked", "marked or cleared it")


def edited(office: Office) -> Line:
    """The request's result is edited, then the gate's, and both are marked success."""
    office.wait("edited", ASK, "awaiting_input")
    office.engineer.edit(DAG, "edited", ASK, PASSED_ON)
    office.engineer.mark(DAG, "edited", ASK)
    line = _refused("approval task's XCom edited", office, "edited", "somebody edited it")
    accepted = {"accepted": True, "reasons": [], "version": 7, "digest": DIGEST}
    office.engineer.edit(DAG, "edited", GATE, accepted)
    office.engineer.mark(DAG, "edited", GATE)
    office.engineer.clear(DAG, "edited", PROMOTE)
    office.wait("edited", PROMOTE, "up_for_retry", "failed")
    return line


def cleared(office: Office) -> Line:
    """The request of an approved release is cleared, and marked success on its next try."""
    office.engineer.clear(DAG, "approved", ASK, GATE, PROMOTE)
    office.wait("approved", ASK, "awaiting_input")
    office.engineer.mark(DAG, "approved", ASK)
    words = "Nobody has answered try 2"
    return _refused("approved task cleared, then marked success", office, "approved", words)


def scheduler_killed(office: Office) -> Line:
    """kill -9 of Airflow's scheduler and its tasks while the request waits, and its start."""
    office.wait(KILLED, ASK, "awaiting_input")
    office.airflow.kill("airflow-scheduler")
    office.airflow.launch("airflow-scheduler")
    office.asked(KILLED, office.reviewer)
    end = office.end(KILLED)
    events = [row.event for row in office.rows(KILLED)]
    return Line(
        "Airflow's scheduler killed while a release waits for a person",
        "released; ledger: requested, approved",
        f"{end}; ledger: {', '.join(events)}",
        "killed with its tasks by kill -9, and started again",
    )


DRILLS: Sequence[OfficeDrill] = (
    stranger,
    approved,
    self_approval,
    other_digest,
    marked,
    edited,
    cleared,
    scheduler_killed,
)


def _attempt(drill: OfficeDrill, office: Office) -> Line:
    try:
        return drill(office)
    except PlatformError as error:
        return Line(drill.__name__.replace("_", " "), "a judgement", "none", str(error)[:300])


def _refused(fault: str, office: Office, case: str, words: str) -> Line:
    end = office.end(case)
    row = office.rows(case)[-1]
    reason = "named" if words in row.reason else "not named"
    return Line(
        fault,
        f"{GATE} failed; ledger: rejected, the reason named",
        f"{end}; ledger: {row.event}, the reason {reason}",
        row.reason[:SHOWN],
    )
