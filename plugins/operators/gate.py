"""Tasks that decide: a refusal is pushed as a result first, then fails the task for good."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from include.steps import Decision
from plugins.operators.step import StepOperator


class GateOperator(StepOperator):
    """Runs a step that decides, and fails closed.

    The step's result is a `Decision`. Anything but `accepted: true` is a refusal, a result without
    a decision included. A refusal never retries: running again does not change the answer.
    """

    ui_color = "#fde7c8"
    what = "The step"

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step, push its verdict, and fail the task unless it accepts."""
        result = self.run_step(context)
        content = result.as_json()
        if isinstance(result, Decision) and result.accepted is True:
            self.log.info("%s: accepted. %s", self.task_id, content)
            return content
        context["ti"].xcom_push(key="return_value", value=content)
        reasons = result.reasons if isinstance(result, Decision) else ()
        raise AirflowFailException(
            f"{self.what} was refused: " + "; ".join(reasons or [f"{self.step} decided nothing"])
        )


class DataValidationOperator(GateOperator):
    """Stops the run on data that does not meet its declaration."""

    what = "The data"


class PromotionGateOperator(GateOperator):
    """Stops a candidate model that does not meet every gate of its use case."""

    what = "The candidate"


class PackageCheckOperator(GateOperator):
    """Stops a model package that cannot be served."""

    what = "The package"
