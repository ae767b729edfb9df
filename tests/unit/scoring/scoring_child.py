"""Batch scoring in a process of its own: `python -m tests.unit.scoring.scoring_child HOME
PARTITION_ROWS`, settings as in `world`.

Prints a line per scored partition and, last, what publication returned with `peak_mb`, the largest
resident set.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from include.processes.batch_scoring import plan_partitions, publish_predictions, score_partition
from include.steps import RunInfo, StepContext
from proofs.bench.child import peak_mb
from proofs.harness.home import home_settings
from tests.step_runs import run_step
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, SHARE


def main(home: Path, partition_rows: int) -> None:
    use_case = FLIGHTS.model_copy(
        update={"batch": FLIGHTS.batch.model_copy(update={"partition_rows": partition_rows})}
    )
    context = StepContext(
        use_case,
        home_settings(home, SHARE),
        FEBRUARY,
        RunInfo(process="batch_scoring", run_id="child"),
    )
    plan = run_step(plan_partitions, context)
    results: list[dict[str, Any]] = []
    for partition in [] if plan["scored"] else plan["partitions"]:
        results.append(
            run_step(score_partition, context, {"plan_partitions": plan, "partition": partition})
        )
        say({"number": partition["number"], "resumed": results[-1]["resumed"]})
    published = run_step(
        publish_predictions, context, {"plan_partitions": plan, "score_partition": results}
    )
    say({**published, "peak_mb": peak_mb()})


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
