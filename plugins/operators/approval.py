"""A release, or the review of a decision, that waits for a named person, and the task that decides
what the answer is worth.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict

from include.decisions.right import DECISION
from include.release.approval import REASON, SHORTEST_REASON, Right
from include.settings import load_settings
from plugins.airflow_records import AirflowRecords
from plugins.operators.gate import GateOperator
from plugins.operators.step import StepOperator
from plugins.refusal import refusal

EXPIRED = "include.processes.approval:expire_approval"


def reason_param() -> Param:
    """The field of every request to a person: why, in words.

    Airflow checks defaults when the task starts, so that the default is null; that a reason was
    typed is for whoever judges the answer.
    """
    return Param(
        None,
        type=["null", "string"],
        minLength=SHORTEST_REASON,
        maxLength=500,
        title="Reason",
        source="task",
        description="Why; kept in the ledger with your name.",
    )


def decision_param() -> Param:
    """The field of a review: what replaces a decision that is overturned."""
    return Param(
        None,
        type=["null", "string"],
        maxLength=200,
        title="Decision instead",
        source="task",
        description="Only to overturn: the class or the number that replaces the answer. Of a"
        " yes-or-no question empty: it becomes the other one.",
    )


class RequestApprovalOperator(StepOperator, HITLOperator):
    """Asks named people, and waits in the state `awaiting_input`, without a worker slot.

    The step leaves a `PersonsRequest`: what they are shown. Nothing answers in their place: an
    expired request fails the task for good. What the answer decides is for the task after it,
    which reads it from Airflow's API.

    :param right: the right that the answer uses, with the people who have it.
    """

    ui_color = "#e4d7f5"
    expired = EXPIRED
    nothing = "Nothing is released."

    def __init__(self, *, right: Right, **kwargs: Any) -> None:
        # Airflow hands the DAG's own parameters to every task; only the task's become the form.
        params = kwargs.pop("params", None) or ParamsDict()
        params.update(self.form())
        super().__init__(
            subject="Release?",
            options=list(right.options),
            assigned_users=[{"id": name, "name": name} for name in right.people],
            response_timeout=timedelta(hours=right.hours),
            params=params,
            **kwargs,
        )
        self.right = right

    @property
    def steps(self) -> tuple[str, ...]:
        """Every step that the task may call."""
        return (self.step, self.expired)

    def form(self) -> dict[str, Param]:
        """The fields that the person fills in beside the choice."""
        return {REASON: reason_param()}

    def execute(self, context: Context) -> Any:
        """Write down what is asked, then wait."""
        request = self.run_step(context).as_json()
        self.subject, self.body = request["subject"], request["body"]
        self.log.info("row %s of the ledger: %s", request["ledger_row"], self.subject)
        return HITLOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Pass on what was answered, as JSON."""
        try:
            answer = HITLOperator.execute_complete(self, context, event)
        except HITLTimeoutError:
            self.step = self.expired
            expired = self.run_step(context).as_json()
            context["ti"].xcom_push(key="return_value", value=expired)
            raise refusal(self.log, self.nothing, expired["reasons"]) from None
        return {
            "chosen_options": list(answer["chosen_options"]),
            "responded_by_user": answer["responded_by_user"],
            "params_input": answer["params_input"],
        }


class RequestReviewOperator(RequestApprovalOperator):
    """Asks the reviewers to uphold or overturn one decision, with all that is recorded about it."""

    expired = "include.processes.decisions.review:expire_review"
    nothing = "The decision was not reviewed."

    def form(self) -> dict[str, Param]:
        """The reason, and what replaces a decision that is overturned."""
        return {**super().form(), DECISION: decision_param()}


class ApprovalGateOperator(GateOperator):
    """Stops a release unless a named person has approved exactly this version and digest.

    It reads from Airflow's API who answered which try of the request. A request that was marked
    success, cleared or whose result was edited is refused and named, in the log and in the ledger.

    :param request_task: id of the task that asked.
    """

    what = "The release"
    supplied = ("answered",)

    def __init__(self, *, request_task: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.request_task = request_task

    def inputs(self, context: Context) -> dict[str, Any]:
        """The results of the tasks upstream, and what Airflow itself knows of the request."""
        run_id, dag_id = context["dag_run"].run_id, context["dag"].dag_id
        with AirflowRecords(load_settings()) as records:
            answer = records.answer(dag_id, run_id, self.request_task)
            people = records.requesters(dag_id, run_id)
        answered = {
            "answer": None if answer is None else answer.model_dump(mode="json"),
            "people": list(people),
            "passed_on": context["ti"].xcom_pull(task_ids=self.request_task),
        }
        return {**super().inputs(context), "answered": answered}


class ReviewGateOperator(ApprovalGateOperator):
    """Records the review of a decision, and fails unless a named person with the right to it has
    answered this very request.
    """

    what = "The review"
