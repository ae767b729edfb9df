"""Whether a package may serve: it loads in a fresh process, answers its golden rows, fits interface
and target, is small and fast enough.

The same inspection and thresholds as those of the gates; here on the very files, and on the
machine, that will serve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.model.inspection import GOLDEN_TOLERANCE, inspect_package
from include.model.package import METADATA_FILE, ModelMetadata
from include.release.target import target_checks
from include.spec import UseCase

BYTES_PER_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What a package may cost: bytes on disk, milliseconds for one row and for 1,000 (transform and
    score), seconds for the whole check.
    """

    size_bytes: int
    latency_p50_ms: float
    latency_p99_ms: float
    batch_ms: float
    seconds: float = 120.0


def limits_of(use_case: UseCase) -> Limits:
    """The limits that the specification declares for the gates."""
    gates = use_case.gates
    size = int(gates.max_package_megabytes * BYTES_PER_MEGABYTE)
    return Limits(size, gates.max_latency_p50_ms, gates.max_latency_p99_ms, gates.max_batch_ms)


def check_package(
    folder: Path, digest: str, use_case: UseCase, limits: Limits | None = None
) -> dict[str, Any]:
    """The verdict `{"accepted", "reasons", "checks"}`; never raises for a bad package.

    `checks` maps each check to `{"passed", "observed", "limit"}`. A process that dies while it
    loads the package is a refusal that names the signal.
    """
    limits = limits or limits_of(use_case)
    inspection = inspect_package(folder, digest, seconds=limits.seconds)
    checks: dict[str, dict[str, Any]] = {
        "size_bytes": _at_most(inspection.size_bytes, limits.size_bytes)
    }
    observed = inspection.problem or "loaded in a fresh process"
    checks["loads"] = {
        "passed": inspection.measured is not None,
        "observed": observed,
        "limit": f"{limits.seconds:g} s",
    }
    checks["files"] = {
        "passed": not inspection.unsafe,
        "observed": inspection.unsafe,
        "limit": "the files of a package only",
    }
    if inspection.measured is not None:
        measured = inspection.measured
        checks["golden_difference"] = _at_most(measured["golden_difference"], GOLDEN_TOLERANCE)
        for name in ("latency_p50_ms", "latency_p99_ms", "batch_ms"):
            checks[name] = _at_most(measured[name], getattr(limits, name))
        checks["libraries"] = {
            "passed": not measured["libraries"],
            "observed": measured["libraries"],
            "limit": "those of the training",
        }
        checks["interface"] = _interface(measured, use_case)
        metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
        checks |= target_checks(
            use_case.target, metadata.libraries, metadata.scoring_libraries, measured
        )
    reasons = [
        f"{name}: {check['observed']}, allowed {check['limit']}"
        for name, check in checks.items()
        if not check["passed"]
    ]
    return {"accepted": not reasons, "reasons": reasons, "checks": checks}


def _at_most(value: float, limit: float) -> dict[str, Any]:
    finite = math.isfinite(value)
    return {
        "passed": finite and value <= limit,
        "observed": value if finite else str(value),
        "limit": limit,
    }


def _interface(observed: dict[str, Any], use_case: UseCase) -> dict[str, Any]:
    """The model must belong to the use case and read only what the endpoint can give it."""
    expected = {
        "use_case": use_case.name,
        "feature_service": use_case.feature_service,
        "event_time": use_case.event_time,
        "columns": sorted({item.source.replace(":", "__") for item in use_case.inputs}),
    }
    differences = {
        name: {"package": observed[name], "use case": value}
        for name, value in expected.items()
        if observed[name] != value
    }
    return {
        "passed": not differences,
        "observed": differences or "as the use case declares",
        "limit": "no difference",
    }
