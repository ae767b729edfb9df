"""The alarm of monitoring as an Airflow asset event."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from plugins.run_context import step_context


class AlarmOperator(BaseOperator):
    """Emits the asset event that starts training when the verdict upstream is an alarm; is skipped otherwise.

    The event carries the interval, the verdict, its reasons and the facts, so the training that it starts knows why.

    :param verdict_task_id: the task whose result holds `alarm`, `verdict`, `reasons`, `facts`.
    :param asset: the alarm asset.
    """

    ui_color = "#fad2cf"

    def __init__(self, *, use_case: str, process: str, verdict_task_id: str, asset: Asset, **kwargs: Any) -> None:
        super().__init__(outlets=[asset], **kwargs)
        self.use_case = use_case
        self.process = process
        self.verdict_task_id = verdict_task_id
        self.asset = asset

    def execute(self, context: Context) -> dict[str, Any]:
        """Emit the event, or skip."""
        verdict = context["ti"].xcom_pull(task_ids=self.verdict_task_id)
        if not isinstance(verdict, dict) or "alarm" not in verdict:
            raise ValueError(f"task {self.verdict_task_id!r} left no verdict with the field 'alarm'; it left: {verdict!r}")
        if not verdict["alarm"]:
            raise AirflowSkipException(f"No alarm: {verdict['verdict']}.")
        interval = step_context(context, self.use_case, self.process).interval
        extra = {"interval": interval.as_json(), **{key: verdict[key] for key in ("verdict", "reasons", "facts")}}
        context["outlet_events"][self.asset].extra = extra
        self.log.warning("Alarm for %s %s: %s", self.use_case, interval.label, "; ".join(verdict["reasons"]))
        return extra
