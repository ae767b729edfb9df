"""A worker's task is ended in the middle of a step, as `make down` does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.platform.tasks import end_tasks
from include.settings import PROJECT_ROOT, Settings
from plugins.operators.step import ENDED
from tests.integration.airflow_worker import BEGUN, SECONDS, OneWorker, wait_once

pytestmark = pytest.mark.slow
WORKER = wait_once.__module__


def ask(worker: int) -> None:
    """SIGTERM for the worker, who passes it on."""
    psutil.Process(worker).terminate()


def kill(worker: int) -> None:
    """What `make down` does with a task that does not end when it is asked."""
    assert len(end_tasks(worker)) == 1


@pytest.mark.parametrize("end", [ask, kill])
def test_a_step_that_is_ended_is_reported_by_its_worker_and_tried_again(
    settings: Settings, airflow_database: None, tmp_path: Path, end: Callable[[int], None]
) -> None:
    begun = settings.home / BEGUN
    (tmp_path / "waits.py").write_text(f'"""A DAG of airflow."""\n\nfrom {WORKER} import dag\n')
    environment = {
        **os.environ,
        "AIRFLOW__CORE__EXECUTOR": f"{WORKER}.{OneWorker.__name__}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "log"),
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", WORKER],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while not begun.exists():
            assert worker.poll() is None, worker.communicate()[0]
            time.sleep(0.1)
        time.sleep(0.5)
        end(worker.pid)
        printed = worker.communicate(timeout=3 * SECONDS)[0]
    finally:
        worker.kill()
        begun.unlink(missing_ok=True)
    # A first try that had not been ended would have waited to its end, and been the only one.
    assert printed.splitlines()[-1] == "success success 2", printed
    (log,) = (tmp_path / "log").rglob("attempt=1.log")
    assert (ENDED in log.read_text()) == (end is ask)
