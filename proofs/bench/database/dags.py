"""The DAGs that the bench of Airflow's database runs: monthly ones of two use cases, and a chain,
all of trivial tasks.
"""

from __future__ import annotations

from pathlib import Path

USE_CASES = ("first_case__features", "second_case__features")
CHAIN = "chain"
CHAIN_TASKS = 8

TEXT = '''\
"""A DAG of airflow for a bench of its database."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def do_nothing():
    """Nothing is done."""


with DAG(
    {dag_id!r},
    schedule={schedule!r},
    start_date=datetime(1990, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
):
    task = None
    for number in range({tasks}):
        following = PythonOperator(task_id=f"task_{{number}}", python_callable=do_nothing)
        if task is not None:
            task >> following
        task = following
'''


def write_dags(folder: Path) -> Path:
    """Write a file for each DAG; return the folder."""
    folder.mkdir(parents=True)
    for dag_id, schedule in (*((name, "@monthly") for name in USE_CASES), (CHAIN, None)):
        text = TEXT.format(dag_id=dag_id, schedule=schedule, tasks=CHAIN_TASKS)
        (folder / f"{dag_id}.py").write_text(text)
    return folder
