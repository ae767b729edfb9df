"""Running a DAG through Airflow's own runner, and reading back what it left."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
    return result_of(bag.dags[dag_id].test(logical_date=interval_end, run_conf=conf))


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
