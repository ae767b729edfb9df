"""One step of a process, once per partition of a plan: Airflow maps the partitions onto as many
workers as there are slots.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from plugins.operators.step import StepOperator

PLAN = "plan"


class PlanOperator(StepOperator):
    """Runs a step that plans partitions, and returns these: Airflow maps over a task's return value
    only.

    The whole result is the XCom `plan`. Nothing is left to map when the step has scored its only
    partition itself.
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Run the step, push the plan, return its partitions."""
        plan = super().execute(context)
        context["ti"].xcom_push(key=PLAN, value=plan)
        return [] if plan["scored"] else list(plan["partitions"])


class PlannedOperator(StepOperator):
    """Runs a step that works by a plan, on one partition of it if the task is mapped.

    :param plan_task: id of the task that planned, a `PlanOperator`.
    :param partition: the partition, JSON: `.partial(...).expand(partition=plan.output)`.
    """

    supplied = ("partition",)

    def __init__(
        self, *, plan_task: str, partition: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.plan_task = plan_task
        self.partition = partition

    def inputs(self, context: Context) -> dict[str, Any]:
        """What the step needs of tasks upstream, and the partition."""
        needed = super().inputs(context)
        return needed if self.partition is None else {**needed, "partition": self.partition}

    def pull(self, context: Context, task_id: str) -> Any:
        """The plan is an XCom of its own."""
        if task_id == self.plan_task:
            return context["ti"].xcom_pull(task_ids=task_id, key=PLAN)
        return super().pull(context, task_id)
