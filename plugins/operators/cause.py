"""What starts a training, as Airflow sees it: causes announced as asset events, and consumed by the
run that they start.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow.sdk import Asset, BaseOperatorLink, Context
from airflow.sdk.exceptions import AirflowSkipException

from include.errors import SpecError
from include.started_by import sentence_of
from include.steps import load_step
from plugins.links import MLFLOW_RUN
from plugins.operators.step import StepOperator
from plugins.refusal import refused_request

COLLECT = "include.processes.training:collect_causes"


class AnnounceCauseOperator(StepOperator):
    """Runs a step that records a cause, and emits the asset event that starts training when the
    step announces it.

    The step returns an `Announcement`. The task succeeds either way: that there is nothing to
    announce is an answer, and no task that was passed over.

    :param asset: the asset whose event starts training.
    """

    ui_color = "#fad2cf"

    def __init__(self, *, asset: Asset, **kwargs: Any) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.asset = asset

    def execute(self, context: Context) -> dict[str, Any]:
        """Record, then announce or say why not."""
        result = self.run_step(context).as_json()
        if result["announce"]:
            context["outlet_events"][self.asset].extra = result["extra"]
            self.log.warning("%s: %s", self.asset.name, result["reason"])
        else:
            # Airflow emits an event for every asset that the running task still has as its outlet
            # when it succeeds. The DAG declares the asset all the same, so that the asset graph
            # draws the loop; an alias would draw it only after the first alarm.
            self.outlets: list[Asset] = []
            self.log.info("%s: no event. %s", self.asset.name, result["reason"])
        return result


class OpenTrainingOperator(StepOperator):
    """Consumes every pending cause of training for this run, then opens its tracking run.

    A run that a person started without a reason fails for good. A run whose causes another run has
    already consumed is skipped: its work is done. The causes are part of the result, so that the
    run's page in Airflow says why it ran.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (MLFLOW_RUN,)

    @property
    def steps(self) -> tuple[str, ...]:
        """Every step that the task may call."""
        return (COLLECT, self.step)

    def execute(self, context: Context) -> dict[str, Any]:
        """Consume, then open."""
        try:
            step = load_step(COLLECT)
            collected = self.call_interruptibly(
                context, step, self.context_of(context), {}
            ).as_json()
        except SpecError as error:
            raise refused_request(self, context, error) from None
        if not collected["causes"]:
            raise AirflowSkipException(
                "Every cause of this run was consumed by"
                f" {', '.join(collected['taken_by']) or 'nobody'}."
            )
        for cause in collected["causes"]:
            self.log.info("%s", sentence_of(cause))
        return {**super().execute(context), **collected}
