"""One stage of a rollout as one task: it gives the challenger its share, and waits without a worker
slot until the analysis has decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperatorLink, Context
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from include.errors import LateStep, LedgerBroken, SpecError
from include.release.approval import REASON, Right
from include.settings import load_settings
from include.steps import StepResult, load_step
from include.verdict import Verdict, in_order
from plugins.airflow_records import AirflowRecords
from plugins.links import MLFLOW_VERSION, links_of
from plugins.operators.approval import reason_param
from plugins.operators.step import StepOperator
from plugins.refusal import log_lines, refusal, refused_request
from plugins.triggers.rollout import RolloutEventPayload, RolloutTrigger

STEPS = "include.processes.rollout"
LOOK, ASK, DECIDE = f"{STEPS}:look_at_stage", f"{STEPS}:request_decision", f"{STEPS}:apply_decision"


class RolloutStageOperator(StepOperator):
    """Runs one stage of a rollout: begin, then look again and again.

    Between two looks the task is deferred. A stage that passes ends green; one that fails has given
    all traffic back to the champion, and is red with the figures. One that decides nothing within
    its patience waits for a person, in the state `awaiting_input`, and is rolled back when nobody
    with the right to override lets it go on.

    :param stage: name of the stage.
    :param right: the right to let an undecided stage go on, with the people who have it.
    """

    ui_color = "#d3f0dc"
    supplied = ("stage", "answered")
    operator_extra_links: Collection[BaseOperatorLink] = (MLFLOW_VERSION,)

    def __init__(self, *, stage: str, right: Right, **kwargs: Any) -> None:
        super().__init__(step=f"{STEPS}:begin_stage", **kwargs)
        self.stage = stage
        self.right = right

    @property
    def steps(self) -> tuple[str, ...]:
        """Every step that the task may call."""
        return (self.step, LOOK, ASK, DECIDE)

    def execute(self, context: Context) -> Any:
        """Shift the traffic, then wait for the first look."""
        begun = self.call(context, self.step).as_json()
        self.tell(begun)
        if begun["plan"] is None:
            return begun
        return self._wait(begun["plan"], begun["look_seconds"])

    def execute_complete(self, context: Context, event: RolloutEventPayload) -> Any:
        """Look, and do what the analysis says."""
        self.log.info("looking at %s, for %s", self.stage, event["reason"])
        look = self.call(context, LOOK).as_json()
        self.tell_look(look)
        if look["move"] == "wait":
            return self._wait(look["plan"], look["look_seconds"])
        if look["move"] == "hold":
            self._ask(context)
        return self._end(context, look)

    def execute_answer(self, context: Context, event: dict[str, Any]) -> Any:
        """Do what a person decided about a stage that the analysis could not decide."""
        run_id, dag_id = context["dag_run"].run_id, context["dag"].dag_id
        with AirflowRecords(load_settings()) as records:
            answer = records.answer(dag_id, run_id, self.task_id)
            people = records.requesters(dag_id, run_id)
        answered = {
            "answer": None if answer is None else answer.model_dump(mode="json"),
            "people": list(people),
            "passed_on": {
                "chosen_options": list(event.get("chosen_options") or ()),
                "responded_by_user": event.get("responded_by_user"),
            },
        }
        return self._end(context, self.call(context, DECIDE, answered=answered).as_json())

    def call(self, context: Context, step: str, **more: Any) -> StepResult:
        """Call one of the stage's steps; what comes too late is refused at once."""
        try:
            airflow_free = self.context_of(context)
            inputs = {**self.inputs(context), "stage": {"name": self.stage}, **more}
            read = [value for value in inputs.values() if isinstance(value, dict)]
            self.addresses = links_of(airflow_free.settings, self.use_case, *read)
            return self.call_interruptibly(context, load_step(step), airflow_free, inputs)
        except (SpecError, LateStep, LedgerBroken) as error:
            raise refused_request(self, context, error) from None

    def tell_look(self, look: Mapping[str, Any]) -> None:
        """Write what was compared to the log, a line a question, and what follows from it."""
        for line in look_lines(look):
            self.log.info("%s", line)
        if look["move"] == "abort":
            return  # the refusal that follows says it
        for line in log_lines(f"{look['move']}: {look['reason']}"):
            self.log.info("%s", line)

    def _wait(self, plan: int, seconds: float) -> Any:
        look_at = datetime.now(UTC) + timedelta(seconds=seconds)
        self.defer(
            trigger=RolloutTrigger(
                use_case=self.use_case, sequence=plan, look_at=look_at.isoformat()
            ),
            method_name="execute_complete",
        )

    def _ask(self, context: Context) -> None:
        request = self.call(context, ASK).as_json()
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=list(self.right.options),
            subject=request["subject"],
            body=request["body"],
            params=reason_form(),
            assigned_users=[{"id": name, "name": name} for name in self.right.people],
        )
        self.log.warning("%s: a person must decide", request["subject"])
        raise TaskAwaitingInput(
            method_name="execute_answer", timeout=timedelta(hours=self.right.hours)
        )

    def _end(self, context: Context, look: dict[str, Any]) -> dict[str, Any]:
        if look["accepted"] is True:
            for name, address in self.addresses.items():
                self.log.info("%s: %s", name, address)
            return look
        context["ti"].xcom_push(key="return_value", value=look)
        raise refusal(self.log, f"{self.stage} is rolled back.", look["reasons"])


def look_lines(look: Mapping[str, Any]) -> list[str]:
    """A table of the comparison: question, metric, the challenger's value, its limit, outcome."""
    verdict = look["verdict"]
    rows = [
        (
            finding.rule if not finding.part else f"{finding.rule}, {finding.part}",
            finding.metric,
            _figure(finding.observed),
            _figure(finding.limit),
            finding.outcome,
        )
        for finding in in_order(Verdict.model_validate({"findings": verdict["findings"]}).findings)
    ]
    head = look["stage"] if look["plan"] is None else f"{look['stage']} under plan {look['plan']}"
    if "challenger_version" in verdict:
        head += (
            f": version {verdict['challenger_version']} ({verdict['challenger_rows']:,} rows)"
            f" against version {verdict['champion_version']}"
        )
    table = [("question", "metric", "observed", "limit", "outcome"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in table
    )
    return [head, *(f"  {line}".rstrip() for line in lines)] if rows else [head]


def _figure(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def reason_form() -> dict[str, Any]:
    """The form of a request to a person, as Airflow keeps it."""
    form = ParamsDict({REASON: reason_param()})
    return {name: form.get_param(name).serialize() for name in form}
