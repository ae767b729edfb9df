"""A failed run of a DAG is an alarm; the next run of its process that ends well closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.sdk import BaseNotifier, Context

from include.catalogue import load_use_case, names
from include.processes.alarms import report_failed_run, settle_run
from include.settings import load_settings

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


class FailedRunNotifier(BaseNotifier):
    """Raises the alarm of a run that has failed, and sends it where alarms are sent.

    It is a DAG's `on_failure_callback`, once per failed run: also where the run's time was up, and
    no task of it failed. Airflow calls it in its DAG processor.
    """

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render nothing, for no field is a template: `dag.test()` hands over a DAG that has no
        environment to render in.
        """

    def notify(self, context: Context) -> None:
        """Raise the alarm."""
        name, _, process = str(context["dag"].dag_id).rpartition("__")
        dag_run = context.get("dag_run")
        report_failed_run(
            load_settings(),
            load_use_case(name),
            process,
            run_id=str(context["run_id"]),
            reason=str(context.get("reason") or "no reason was reported"),
            started=str(getattr(dag_run, "start_date", None) or ""),
        )


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  # Airflow's interface
    """Close the alarm of a failed run; Airflow calls it in the scheduler, so nothing is sent."""
    name, _, process = dag_run.dag_id.rpartition("__")
    if name in names():
        settle_run(load_settings(), name, process, dag_run.run_id)
