"""What happens when a task has failed for good."""

from __future__ import annotations

from airflow.sdk import Context

from include.processes.stage import end_unwatched
from include.training.tracking import mark_failed
from include.triggers.causes import give_back
from plugins.run_context import step_context


def close_tracking_run(context: Context) -> None:
    """Close the MLflow run of a training that ended without a decision (a run left RUNNING would
    look alive for ever), and give its causes back to the next one.
    """
    use_case = str(context["dag"].dag_id).rpartition("__")[0]
    step = step_context(context, use_case, "training", uses_interval=False)
    give_back(step.settings, use_case, step.run.run_id)
    mark_failed(
        step.settings,
        use_case,
        step.run.run_id,
        f"{context['ti'].task_id}: {context.get('exception')}",
    )


def end_rollout(context: Context) -> None:
    """Give all traffic back to the champion when a deployment has ended in the middle of a rollout:
    a challenger that nobody watches must not serve.
    """
    use_case = str(context["dag"].dag_id).rpartition("__")[0]
    step = step_context(context, use_case, "deployment", uses_interval=False)
    reason = f"{context['ti'].task_id} failed: {context.get('exception')}"
    end_unwatched(step, reason)
