"""Tasks that decide: a refusal is pushed as a result first, then fails the task for good."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow.sdk import BaseOperatorLink, Context

from include.steps import Decision
from plugins.links import DATA_DOCS, MLFLOW_RUN, MLFLOW_VERSION
from plugins.operators.step import StepOperator
from plugins.refusal import refusal


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
            self.log.info("%s is accepted.", self.what)
            self.tell(content)
            return content
        context["ti"].xcom_push(key="return_value", value=content)
        reasons = result.reasons if isinstance(result, Decision) else ()
        lines = list(reasons) or [f"{self.step} decided nothing"]
        count = "1 reason" if len(lines) == 1 else f"{len(lines)} reasons"
        raise refusal(self.log, f"{self.what} is refused for {count}.", lines)


class DataValidationOperator(GateOperator):
    """Stops the run on data that does not meet its declaration."""

    what = "The data"
    operator_extra_links: Collection[BaseOperatorLink] = (DATA_DOCS,)


class PromotionGateOperator(GateOperator):
    """Stops a candidate model that does not meet every gate of its use case."""

    what = "The candidate"
    operator_extra_links: Collection[BaseOperatorLink] = (MLFLOW_RUN,)


class PackageCheckOperator(GateOperator):
    """Stops a model package that cannot be served."""

    what = "The package"
    operator_extra_links: Collection[BaseOperatorLink] = (MLFLOW_VERSION,)


class ReleaseCheckOperator(GateOperator):
    """Raises the alarm for people when the release ledger is broken, or what follows from it was
    changed and cannot be put back; nothing that serves waits for it.
    """

    what = "What is written down about releases"
    ui_color = "#fbd5d5"
