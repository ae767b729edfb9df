"""Tasks end with all that they have started, and their workers see it."""

import json
import subprocess
import sys
import time

import pytest

from cli.platform.tasks import end_tasks, running_tasks
from tests.processes import runs

CHILD = "import time; time.sleep(120)"
TASK = (
    f"import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    f" child = subprocess.Popen([sys.executable, '-c', {CHILD!r}]);"
    " print(os.getpid(), child.pid, flush=True); time.sleep(120)"
)
WORKER = (
    f"import json, subprocess, sys\n"
    f"task = subprocess.Popen([sys.executable, '-c', {TASK!r}], stdout=subprocess.PIPE, text=True,"
    " process_group=0)\n"
    "print(json.dumps([int(pid) for pid in task.stdout.readline().split()]), flush=True)\n"
    "print(task.wait(), flush=True)\n"
)
SCHEDULER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKER!r}])"


@pytest.fixture
def scheduler():
    """A scheduler with a worker that runs a task which ignores SIGTERM and has a child."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE, text=True, process_group=0
    )
    yield process
    if process.poll() is None:
        end_tasks(process.pid)
        process.kill()
    process.wait()
    process.stdout.close()


def test_a_task_ends_with_its_children_and_its_worker_sees_how(scheduler):
    task, child = json.loads(scheduler.stdout.readline())
    assert running_tasks(scheduler.pid) == {task}
    assert end_tasks(scheduler.pid) == {task}
    assert scheduler.stdout.readline().strip() == "-9"
    assert scheduler.wait(20) == 0
    deadline = time.monotonic() + 20
    while runs(task) or runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_scheduler_that_does_not_run_has_no_tasks(scheduler):
    json.loads(scheduler.stdout.readline())
    end_tasks(scheduler.pid)
    scheduler.wait(20)
    assert end_tasks(scheduler.pid) == set()
