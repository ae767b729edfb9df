"""Running a DAG through Airflow's own runner, and reading back what it left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest.mock import patch

from include.errors import PlatformError
from include.settings import PROJECT_ROOT


@dataclass(frozen=True)
class DagRunResult:
    """What a finished run left: its state, every task's state and result, and the notes of the run
    and of its tasks.
    """

    run_id: str
    state: str
    tasks: dict[str, str]
    results: dict[str, Any]
    note: str = ""
    task_notes: dict[str, str] = field(default_factory=dict)


def run_dag(
    dag_id: str, interval_end: datetime | None, conf: dict[str, Any] | None = None
) -> DagRunResult:
    """Run the DAG with `dag.test()` on the data interval that ends at `interval_end`.

    Raises `PlatformError` when it cannot be read.
    """
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(
        dag_folder=str(PROJECT_ROOT / "dags"),
        bundle_path=PROJECT_ROOT / "dags",
        bundle_name="dags-folder",
    )
    if bag.import_errors:
        raise PlatformError(f"The DAG files cannot be read: {dict(bag.import_errors)}.")
    with _settling_at_once():
        run = bag.dags[dag_id].test(logical_date=interval_end, run_conf=conf)
    return result_of(run)


@contextmanager
def _settling_at_once() -> Iterator[None]:
    """Let each look of `dag.test()` at its run decide all that follows from what is finished.

    After a refused or skipped task a look decides only the tasks right behind it, and `dag.test()`
    sleeps a second before the next look: as many seconds as the DAG is deep.
    """
    from airflow.models.dagrun import DagRun

    update_state = DagRun.update_state

    def settle(run: Any, *, session: Any, **options: Any) -> Any:
        while True:
            before = _unfinished(run, session)
            decided = update_state(run, session=session, **options)
            if decided[0] or _unfinished(run, session) in (before, set()):
                return decided

    with patch.object(DagRun, "update_state", settle):
        yield


def _unfinished(run: Any, session: Any) -> set[tuple[str, int]]:
    """The task and the map index of each task instance that has no last state."""
    from airflow.utils.state import State

    instances = run.get_task_instances(session=session)
    return {(at.task_id, at.map_index) for at in instances if at.state not in State.finished}


def result_of(run: Any) -> DagRunResult:
    """What a finished run left in Airflow's database."""
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    dag_id = run.dag_id
    with create_session() as session:
        instances = run.get_task_instances(session=session)
        tasks = {instance.task_id: str(instance.state) for instance in instances}
        notes = {instance.task_id: instance.note for instance in instances if instance.note}
        query = XComModel.get_many(run_id=run.run_id, dag_ids=dag_id, key="return_value")
        note = session.scalar(select(DagRun).filter_by(run_id=run.run_id, dag_id=dag_id)).note or ""
        results = {row.task_id: XComModel.deserialize_value(row) for row in session.scalars(query)}
    return DagRunResult(run.run_id, str(run.state), tasks, results, note, notes)
