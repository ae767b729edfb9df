"""What the steps of a release leave beside those of `include.processes.results`: requests to
people, their answers, the stages of a rollout.
"""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from include.release.approval import Answer
from include.steps import Decision, StepResult


class PersonsRequest(StepResult):
    """What a person is shown, and what the ledger's row `ledger_row` recorded of it."""

    version: int
    digest: str
    subject: str
    body: str
    ledger_row: int


class PersonsAnswer(StepResult):
    """What Airflow's API says of the request's newest try, who started the release, and what the
    request's task passed on as its result.

    `people` are Airflow's names of everybody who started this run or one that led to it.
    """

    answer: Answer | None
    people: tuple[str, ...]
    passed_on: JsonValue = None


class ApprovalVerdict(Decision):
    """Whether a release is approved, by whom and why; `checks` by rule."""

    version: int
    digest: str
    approver: str | None
    reason: str
    checks: dict[str, Any]
    ledger_row: int


class DecisionReview(Decision):
    """Whether a person's answer about one decision counts, and what it says: `outcome` is `upheld`
    or `overturned`, `decision` what replaces an overturned one; both are null where it does not
    count. `checks` by rule; `earlier` are the ledger's rows of earlier reviews of the decision.
    """

    prediction_id: str
    version: int
    digest: str
    outcome: str | None
    decision: JsonValue
    reviewer: str | None
    reason: str
    checks: dict[str, Any]
    ledger_row: int
    earlier: tuple[int, ...] = ()


class RolledBack(StepResult):
    """What serves after a roll-back, and how many endpoint processes were seen to serve it.

    `passed_over` are newer versions whose packages cannot serve, with the reasons; `alias_problem`
    says why MLflow's alias did not move.
    """

    version: int
    digest: str
    ledger_row: int
    plan: int
    processes: int
    passed_over: dict[str, str]
    alias_problem: str | None


class StageName(StepResult):
    """Which stage of the rollout a task runs."""

    name: str


class BegunStage(StepResult):
    """The plan under which a stage runs, and since when. `plan` is None where there is nothing to
    compare: no version serves yet, or this very one does.
    """

    stage: str
    plan: int | None
    share: float
    since: str
    look_seconds: float
    reason: str


class StageLook(Decision):
    """What a look at a stage decided: `move` is advance, complete, wait, hold or abort.

    `accepted` is true where the next task may run. `verdict` is that of the analysis, `ledger_row`
    the row about it; None while the stage waits under `plan` for the next look.
    """

    stage: str
    move: str
    reason: str
    share: float
    plan: int | None
    look_seconds: float
    verdict: dict[str, Any]
    ledger_row: int | None
