"""What every factory shares: assets, defaults and documentation of a DAG."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from airflow.sdk import DAG, Asset, Param

from include.spec import UseCase
from plugins.alarms import FailedRunNotifier
from plugins.refusal import FINAL
from plugins.timetable import DataIntervalTimetable

RETRY_DELAY = timedelta(seconds=20)
TASK_TIMEOUT = timedelta(minutes=30)
RUN_TIMEOUT = timedelta(hours=4)


class UnchangedAsset(Asset):
    """An asset whose hash is computed once; nothing of it may be assigned afterwards.

    Airflow hashes a DAG, and with it the assets of its schedule, twice for every edge between two
    tasks, and an asset each time by its JSON. Equality and hash are those of `Asset`.
    """

    _hash: int | None = None

    def __hash__(self) -> int:
        """That of Airflow's own class."""
        value = self._hash
        if value is None:
            untyped: Any = super()
            value = self._hash = int(untyped.__hash__())
        return value


def asset(use_case: UseCase, thing: str) -> Asset:
    """The asset `<use_case>/<thing>`: the same object in every DAG of the use case."""
    return _asset(use_case.name, thing)


@lru_cache(maxsize=64)
def _asset(name: str, thing: str) -> Asset:
    return UnchangedAsset(name=f"{name}/{thing}", uri=f"flightdeck://{name}/{thing}", group=name)


def intervals(use_case: UseCase, cron: str) -> DataIntervalTimetable:
    """A timetable whose runs each own one data interval, so that Airflow's backfill replays
    them, and that ends with the data.
    """
    return copy.copy(_timetable(cron, use_case.schedule.end))


@lru_cache(maxsize=256)
def _timetable(cron: str, end: datetime | None) -> DataIntervalTimetable:
    """Airflow puts a cron into words when it is read; most use cases write one cron thrice."""
    return DataIntervalTimetable(cron, end)


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
    # An assignment would have Airflow hold every schema against that of all schemas, each time
    # anew. That each default is valid is for whoever takes it from a specification.
    dag.params.update(dict(params or {}))


def use_case_card(use_case: UseCase) -> str:
    """The use case's definition as Markdown, shown under every one of its DAGs."""
    return (
        f"### {use_case.title}\n\n**Task.** {use_case.task}\n\n**Impact.**"
        f" {use_case.business_impact}\n\n**Metric.** {use_case.metric}\n\n**Data.**"
        f" {use_case.data}\n\n**Label.** {use_case.label.description}\n\n**Owner.**"
        f" {use_case.owner}\n"
    )
