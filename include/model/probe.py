"""What the child process of `inspection.inspect_package` runs: load a package, answer its golden
rows, measure, print one line of JSON.

    python -m include.model.probe <folder> <digest>

A process of its own, because a damaged model can end the process that parses it.
"""

from __future__ import annotations

import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from include.errors import FlightdeckError
from include.model.lean_xgboost import import_lean
from include.model.package import golden_columns, load_model
from include.process_end import end_at_once

WARM_UP = 20
SINGLE_ROWS = 300
BATCH_ROWS = 1000
BATCHES = 15


def probe(folder: Path, digest: str) -> dict[str, Any]:
    """Golden difference, latency of one row and of a batch of 1,000 (transform and score,
    milliseconds of processor time), libraries, what the model is.

    Raises `DigestMismatch` or `RegistryError` when the package cannot be loaded.
    """
    started = time.perf_counter()
    model = load_model(folder, expected_digest=digest)
    load_seconds = time.perf_counter() - started
    difference = model.check_golden()
    rows = [golden_columns(model.transform, [row]) for row in model.golden["rows"]]
    repeated = [model.golden["rows"][number % len(rows)] for number in range(BATCH_ROWS)]
    batch = golden_columns(model.transform, repeated)
    for number in range(WARM_UP):
        model.score(rows[number % len(rows)])
    single = _milliseconds(lambda number: model.score(rows[number % len(rows)]), SINGLE_ROWS)
    batches = _milliseconds(lambda _: model.score(batch), BATCHES)
    return {
        "golden_rows": len(rows),
        "golden_difference": difference,
        "load_seconds": load_seconds,
        "latency_p50_ms": single[SINGLE_ROWS // 2],
        "latency_p99_ms": single[int(SINGLE_ROWS * 0.99)],
        "batch_ms": batches[BATCHES // 2],
        "libraries": library_differences(
            model.metadata.libraries, model.metadata.scoring_libraries
        ),
        "architecture": model.fitted.describe(),
        "use_case": model.metadata.use_case,
        "feature_service": model.metadata.feature_service,
        "event_time": model.transform.event_time,
        "columns": sorted({model.transform.column(item) for item in model.transform.inputs}),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "peak_memory_mb": _peak_memory_mb(),
    }


def library_differences(recorded: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Libraries whose version here is not the recorded one, and a name for a record that lacks what
    scoring needs; empty = the same.
    """
    differences = {name: "not recorded in the package" for name in names if name not in recorded}
    for name in names:
        here = _installed(name)
        if name in recorded and recorded[name] != here:
            differences[name] = f"trained with {recorded[name]}, here is {here}"
    return differences


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _peak_memory_mb() -> float:
    """The largest resident set so far, MB of 10^6 bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss of a fresh process still holds its parent's
        return (
            next(
                int(line.split()[1])
                for line in status.read_text().splitlines()
                if line.startswith("VmHWM")
            )
            * 1024
            / 1e6
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _milliseconds(call: Callable[[int], object], times: int) -> list[float]:
    """Sorted processor times of all threads: a model waits for nothing but a processor, and how
    long others leave it none is no fault of the model.
    """
    taken = []
    for number in range(times):
        before = time.process_time()
        call(number)
        taken.append((time.process_time() - before) * 1000.0)
    return sorted(taken)


def main() -> int:
    """Probe what the command line names; a refusal is `{"error": text}` and exit status 3."""
    import_lean()
    try:
        result = probe(Path(sys.argv[1]), sys.argv[2])
    except FlightdeckError as error:
        sys.stdout.write(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 3
    sys.stdout.write(json.dumps(result))
    return 0


if __name__ == "__main__":
    end_at_once()
    sys.exit(main())
