"""One measurement: a task in a fresh child process, watched for memory and time, its answer and
peak memory read back.

This module imports nothing heavy: a child starts with its parent's memory counted against it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from include.errors import PlatformError
from include.settings import PROJECT_ROOT

MEMORY_LIMIT_MB = 8192
TIME_LIMIT = 120.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Measured:
    """One child: `seconds` is what the task timed itself, `wall` the life of the process.

    `cpu` is its processor time (seconds), `peak_mb` its largest resident set.

    `stopped` says why a child was ended before it was done; its numbers then are those reached so
    far.
    """

    seconds: float
    wall: float
    peak_mb: float
    answer: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    cpu: float = 0.0


def run_child(
    task: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    time_limit: float = TIME_LIMIT,
    memory_limit_mb: float = MEMORY_LIMIT_MB,
    project: Path = PROJECT_ROOT,
) -> Measured:
    """Run `proofs.bench.child TASK` in a project's folder and wait.

    Raises `PlatformError` with its last lines when it fails by itself.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "arguments.json").write_text(json.dumps(arguments))
        with (folder / "output.txt").open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "proofs.bench.child", task, str(folder)],
                env=dict(environment),
                cwd=project,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            peak, stopped = _watch(process, started, time_limit, memory_limit_mb)
            wall = time.perf_counter() - started
        if stopped:
            return Measured(wall, wall, peak, stopped=stopped)
        if process.returncode != 0:
            printed = (folder / "output.txt").read_text(errors="replace").strip()[-3000:]
            raise PlatformError(
                f"The measurement {task} {dict(arguments)} ended with exit code"
                f" {process.returncode}: {printed}"
            )
        answer = json.loads((folder / "answer.json").read_text())
        seconds, peak, cpu = (float(answer.pop(name)) for name in ("seconds", "peak_mb", "cpu"))
        return Measured(seconds, wall, peak, answer, cpu=cpu)


def median(measured: Sequence[Measured], what: str = "seconds") -> float:
    """The median of one number over repetitions."""
    return float(statistics.median(getattr(item, what) for item in measured))


def _watch(
    process: subprocess.Popen[bytes], started: float, time_limit: float, memory_limit_mb: float
) -> tuple[float, str]:
    """Wait for the child; end it when it passes a limit.

    The largest resident set seen (MB) and why it was ended.
    """
    peak, watched = 0.0, psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            break
        reason = ""
        if peak > memory_limit_mb:
            reason = f"stopped at {peak / 1000:.1f} GB"
        elif time.perf_counter() - started > time_limit:
            reason = f"stopped after {time_limit:.0f} s"
        if reason:
            process.kill()
            process.wait()
            return peak, reason
        time.sleep(POLL_SECONDS)
    process.wait()
    return peak, ""
