"""The running tasks of Airflow's scheduler, and how a platform that stops ends them.

A task is a child of one of the scheduler's workers and leads a process group of its own, with all
that it starts. Its worker sees it end, however it ends, and reports it to Airflow's API; so one
that is killed while the API answers is tried again as soon as there is a scheduler. A task that
loses its worker with the scheduler would count as running until its heartbeat is missed.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil


def end_tasks(scheduler: int) -> set[int]:
    """Kill the tasks below the process `scheduler` with all that they have started; their pids.

    Steps are made to be killed at any moment. This is for those that SIGTERM did not end: native
    code that runs for long, and operators that do not listen.
    """
    tasks = running_tasks(scheduler)
    for pid in tasks:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    return tasks


def running_tasks(scheduler: int) -> set[int]:
    """The pids of the tasks below a scheduler; none where it does not run."""
    try:
        below = psutil.Process(scheduler).children(recursive=True)
    except psutil.NoSuchProcess:
        return set()
    return {process.pid for process in below if _leads_a_group(process)}


def _leads_a_group(process: psutil.Process) -> bool:
    try:
        ended = bool(process.status() == psutil.STATUS_ZOMBIE)
        return os.getpgid(process.pid) == process.pid and not ended
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
