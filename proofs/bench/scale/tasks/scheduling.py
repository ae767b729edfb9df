"""Airflow as the platform runs it over the project's DAGs: until all are there, how soon a run that
is asked for is queued, and its memory.
"""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from typing import Any

import psutil

from include.errors import PlatformError
from include.settings import PROJECT_ROOT, load_settings
from proofs.harness.airflow import Airflow

RUNS = 5
DAG = "scale_probe"
PROBE = f'''\
"""A DAG of airflow that is asked for again and again."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def do_nothing():
    """Nothing is done."""


with DAG({DAG!r}, schedule=None, start_date=datetime(1990, 1, 1, tzinfo=UTC), catchup=False):
    PythonOperator(task_id="only", python_callable=do_nothing)
'''


def schedule(arguments: dict[str, Any]) -> dict[str, Any]:
    """`parsed` seconds from Airflow's health until every DAG is in its database, `lag` seconds from
    a run's being asked for to the queueing of its task (median), `memory` of its processes in MB.
    """
    settings, folder = load_settings(), PROJECT_ROOT / "dags"
    (folder / f"{DAG}.py").write_text(PROBE)
    expected = arguments["dags"] + 1
    with Airflow(settings, dags=folder) as airflow:
        api, started = airflow.api(), time.monotonic()
        airflow.wait_for(
            f"have {expected} DAGs",
            lambda: api.get("/api/v2/dags", {"limit": 1})["total_entries"] >= expected,
            seconds=arguments["seconds"],
        )
        parsed = time.monotonic() - started
        lags = [_lag(airflow, api, number) for number in range(RUNS)]
        memory = sum(_memory(process) for process in psutil.Process().children(recursive=True))
    return {"seconds": parsed, "parsed": parsed, "lag": statistics.median(lags), "memory": memory}


def _lag(airflow: Airflow, api: Any, number: int) -> float:
    run = f"probe-{number}"
    api.trigger(DAG, run)
    state = airflow.wait_for(
        "end a run",
        lambda: (state := api.run_state(DAG, run)) in ("success", "failed") and state,
        seconds=180.0,
    )
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}"
    task = api.get(f"{path}/taskInstances")["task_instances"][0]
    if state != "success":
        raise PlatformError(f"the run {run} ended as {state}")
    asked, queued = api.get(path)["queued_at"], task["queued_when"]
    return (datetime.fromisoformat(queued) - datetime.fromisoformat(asked)).total_seconds()


def _memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0
