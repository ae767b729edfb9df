"""What every factory shares: assets, defaults and documentation of a DAG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param
from airflow.sdk.definitions.param import ParamsDict

from include.spec import UseCase
from plugins.alarms import FailedRunNotifier
from plugins.refusal import FINAL
from plugins.timetable import DataIntervalTimetable

RETRY_DELAY = timedelta(seconds=20)
TASK_TIMEOUT = timedelta(minutes=30)
RUN_TIMEOUT = timedelta(hours=4)


def asset(use_case: UseCase, thing: str) -> Asset:
    """The asset `<use_case>/<thing>`."""
    return Asset(
        name=f"{use_case.name}/{thing}",
        uri=f"flightdeck://{use_case.name}/{thing}",
        group=use_case.name,
    )


def intervals(use_case: UseCase, cron: str) -> DataIntervalTimetable:
    """A timetable whose runs each own one data interval, so that Airflow's backfill replays
    them, and that ends with the data.
    """
    return DataIntervalTimetable(cron, use_case.schedule.end)


@contextmanager
def build_dag(
    use_case: UseCase,
    process: str,
    *,
    schedule: Any,
    description: str,
    doc_md: str | None,
    params: Mapping[str, Param] | None = None,
    **kwargs: Any,
) -> Iterator[DAG]:
    """A DAG with the house's id, owner, tags, retries, timeouts and documentation, which takes the
    tasks that are made inside.

    It gets its parameters after them: each task would copy them, and Airflow checks each copy
    against its schema several times, two thirds of what a parse would cost. At run time a task
    finds the DAG's own. A task that asks for values of its own, as an approval does, has them.
    """
    dag = DAG(
        dag_id=use_case.dag_id(process),
        dag_display_name=f"{use_case.title}: {process.replace('_', ' ')}",
        description=description,
        doc_md=f"{doc_md or description}\n\n{use_case_card(use_case)}",
        schedule=schedule,
        start_date=use_case.schedule.start,
        catchup=False,
        max_active_runs=kwargs.pop("max_active_runs", 1),
        on_failure_callback=FailedRunNotifier(),
        dagrun_timeout=kwargs.pop("run_timeout", RUN_TIMEOUT),
        tags=[use_case.name, process, *use_case.tags],
        default_args={
            "owner": use_case.owner,
            # One for a task that a restart of the platform has ended, one for what fails by itself.
            "retries": 2,
            "retry_delay": RETRY_DELAY,
            "retry_policy": FINAL,
            "execution_timeout": TASK_TIMEOUT,
            **kwargs.pop("default_args", {}),
        },
        render_template_as_native_obj=False,
        **kwargs,
    )
    with dag:
        yield dag
    dag.params = ParamsDict(dict(params or {}))


def use_case_card(use_case: UseCase) -> str:
    """The use case's definition as Markdown, shown under every one of its DAGs."""
    return (
        f"### {use_case.title}\n\n**Task.** {use_case.task}\n\n**Impact.**"
        f" {use_case.business_impact}\n\n**Metric.** {use_case.metric}\n\n**Data.**"
        f" {use_case.data}\n\n**Label.** {use_case.label.description}\n\n**Owner.**"
        f" {use_case.owner}\n"
    )
