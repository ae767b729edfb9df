"""What the child process of `checks.check_package` runs: load a package, answer its golden rows, measure, print one line of JSON.

    python -m include.release.probe <folder> <digest>

A process of its own, because a damaged model can end the process that parses it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

WARM_UP = 20
SINGLE_ROWS = 300


def probe(folder: Path, digest: str) -> dict[str, Any]:
    """Golden difference, single-row latency (transform and score, milliseconds) and what the model says it is.

    Raises `DigestMismatch` or `RegistryError` when the package cannot be loaded.
    """
    from include.registry.artifact import golden_columns, load_model

    started = time.perf_counter()
    model = load_model(folder, expected_digest=digest)
    load_seconds = time.perf_counter() - started
    difference = model.check_golden()
    rows = [golden_columns(model.transform, [row]) for row in model.golden["rows"]]
    for number in range(WARM_UP):
        model.score(rows[number % len(rows)])
    latencies = []
    for number in range(SINGLE_ROWS):
        before = time.perf_counter()
        model.score(rows[number % len(rows)])
        latencies.append((time.perf_counter() - before) * 1000.0)
    latencies.sort()
    return {
        "golden_rows": len(rows),
        "golden_difference": difference,
        "load_seconds": load_seconds,
        "latency_p50_ms": latencies[SINGLE_ROWS // 2],
        "latency_p99_ms": latencies[int(SINGLE_ROWS * 0.99)],
        "use_case": model.metadata.use_case,
        "feature_service": model.metadata.feature_service,
        "event_time": model.transform.event_time,
        "columns": sorted({model.transform.column(item) for item in model.transform.inputs}),
    }


def main() -> int:
    """Probe what the command line names; a refusal is `{"error": text}` and exit status 3."""
    from include.errors import FlightdeckError

    try:
        result = probe(Path(sys.argv[1]), sys.argv[2])
    except FlightdeckError as error:
        sys.stdout.write(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 3
    sys.stdout.write(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
