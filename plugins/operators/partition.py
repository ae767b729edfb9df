"""One step of a process, once per partition of a plan:

Airflow maps the partitions onto as many workers as there are slots.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from plugins.operators.step import StepOperator

PLAN = "plan"


class PlanOperator(StepOperator):
    """Runs a step whose result holds a list `partitions`, and returns that list: Airflow maps over
    a task's return value only.

    The whole result is the XCom `plan`. Nothing is left to map when the step has put results into
    `scored` itself.
    """

    def execute(self, context: Context) -> Any:
        """Run the step, push the plan, return its partitions."""
        plan = super().execute(context)
        context["ti"].xcom_push(key=PLAN, value=plan)
        return [] if plan["scored"] else plan["partitions"]


class PlannedOperator(StepOperator):
    """Runs a step that works by a plan: its inputs hold the whole plan under the planning task's
    id, and one partition if it is mapped.

    :param plan_task: id of the task that planned, a `PlanOperator`.
    :param partition: the partition, JSON: `.partial(...).expand(partition=plan.output)`.
    """

    def __init__(
        self, *, plan_task: str, partition: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.plan_task = plan_task
        self.partition = partition

    def upstream_results(self, context: Context) -> dict[str, Any]:
        """Results of the steps upstream, the plan, and the partition."""
        plan = context["ti"].xcom_pull(task_ids=self.plan_task, key=PLAN)
        results = {**super().upstream_results(context), self.plan_task: plan}
        return results if self.partition is None else {**results, "partition": self.partition}
