"""The child of a measurement: `python -m proofs.bench.child TASK FOLDER` reads arguments.json and
writes answer.json.

A task returns `{"seconds": ..., ...}`; what it does before its own clock starts (imports, reading
inputs) is not timed.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Task = Callable[[dict[str, Any]], dict[str, Any]]

TASKS = {
    "ingest": "proofs.bench.training.tasks.prepare:ingest",
    "entities": "proofs.bench.training.tasks.prepare:entities",
    "join_ours": "proofs.bench.training.tasks.join_ours:join",
    "join_duckdb": "proofs.bench.training.tasks.join_duckdb:join",
    "join_polars": "proofs.bench.training.tasks.join_polars:join",
    "join_feast": "proofs.bench.training.tasks.join_feast:join",
    "read": "proofs.bench.training.tasks.validation:read_table",
    "validate": "proofs.bench.training.tasks.validation:validate_table",
    "transform": "proofs.bench.training.tasks.scoring:transform",
    "model": "proofs.bench.training.tasks.model:model",
    "predict": "proofs.bench.training.tasks.scoring:predict",
    "step": "proofs.bench.training.tasks.step:step",
    "dag": "proofs.bench.training.tasks.dag:dag",
    "bare": "proofs.bench.training.tasks.bare:train",
    "batch_rows": "proofs.bench.batch.tasks.rows:rows",
    "batch_raw": "proofs.bench.batch.tasks.raw:score",
    "monitoring_ours": "proofs.bench.monitoring.tasks.compare:ours",
    "monitoring_plain": "proofs.bench.monitoring.tasks.compare:plain",
    "monitoring_evidently": "proofs.bench.monitoring.tasks.compare:by_evidently",
    "scale_parse": "proofs.bench.scale.tasks.parse:parse",
    "scale_schedule": "proofs.bench.scale.tasks.scheduling:schedule",
    "scale_serve": "proofs.bench.scale.tasks.endpoint:serve",
    "scale_rows": "proofs.bench.scale.tasks.fits:write_rows",
    "scale_fit": "proofs.bench.scale.tasks.fits:fit",
    "scale_partition": "proofs.bench.scale.tasks.scoring:prepare",
    "scale_score": "proofs.bench.scale.tasks.scoring:score",
    "batch_ours": "proofs.bench.batch.tasks.ours:score",
}


def peak_mb() -> float:
    """Largest resident set of this process so far, MB of 10^6 bytes; a child process that it waited
    for counts if larger.

    From /proc, because ru_maxrss of a fresh process still holds its parent's.
    """
    status = Path("/proc/self/status")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if not status.is_file():
        return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children) * 1024 / 1e6
    peak = next(
        int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )
    return max(peak, children) * 1024 / 1e6


def cpu_seconds() -> float:
    """Processor time of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def main(name: str, folder: Path) -> None:
    """Run the task and write its answer; the peak is the task's own where it says one."""
    module, _, function = TASKS[name].partition(":")
    task: Task = getattr(import_module(module), function)
    answer = task(json.loads((folder / "arguments.json").read_text()))
    (folder / "answer.json").write_text(
        json.dumps({"peak_mb": peak_mb(), "cpu": cpu_seconds(), **answer})
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
