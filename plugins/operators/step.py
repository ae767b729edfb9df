"""One step of a process as a task."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from include.steps import load_step
from plugins.run_context import step_context


class StepOperator(BaseOperator):
    """Runs one step function of `include` and returns its JSON result.

    The step's inputs are the results of every step upstream, under their task ids.

    :param step: `"include.processes.training:train_model"`.
    :param use_case: name of the use case.
    :param process: name of the process (the second half of the DAG id).
    :param uses_interval: whether a run without a data interval is an error; False where no window
        of data is read.
    """

    ui_color = "#e8f0fe"

    def __init__(
        self, *, step: str, use_case: str, process: str, uses_interval: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.use_case = use_case
        self.process = process
        self.uses_interval = uses_interval

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step."""
        result = self.run_step(context)
        self.log.info("%s: %s", self.task_id, result)
        return result

    def run_step(self, context: Context) -> dict[str, Any]:
        """Load the step, collect its inputs and call it."""
        step = load_step(self.step)
        step_input = step_context(
            context, self.use_case, self.process, uses_interval=self.uses_interval
        )
        return step(step_input, self.upstream_results(context))

    def upstream_results(self, context: Context) -> dict[str, Any]:
        """Results of all steps upstream by task id; a step that was skipped has none."""
        results = {}
        for task_id in sorted(self.get_flat_relative_ids(upstream=True)):
            result = context["ti"].xcom_pull(task_ids=task_id)
            if result is not None:
                results[task_id] = result
        return results
