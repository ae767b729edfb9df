"""Whether a package may serve: it loads in a fresh process, answers its golden rows, fits the interface, is small and fast enough."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.settings import PROJECT_ROOT
from include.spec import UseCase

GOLDEN_TOLERANCE = 1e-6
ERROR_CHARACTERS = 400


@dataclass(frozen=True)
class Limits:
    """What a package may cost: bytes on disk, milliseconds for one row (transform and score), seconds for the whole check."""

    size_bytes: int = 100_000_000
    latency_p50_ms: float = 25.0
    latency_p99_ms: float = 250.0
    seconds: float = 120.0


DEFAULT_LIMITS = Limits()


def check_package(folder: Path, digest: str, use_case: UseCase, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any]:
    """The verdict `{"accepted", "reasons", "checks"}`; never raises for a bad package.

    `checks` maps each check to `{"passed", "observed", "limit"}`. A process that dies while it loads the package is a refusal that
    names the signal.
    """
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    checks: dict[str, dict[str, Any]] = {"size_bytes": _at_most(size, limits.size_bytes)}
    observed, problem = _probe(folder, digest, limits.seconds)
    checks["loads"] = {"passed": problem is None, "observed": problem or "loaded in a fresh process", "limit": f"{limits.seconds:g} s"}
    if observed is not None:
        checks["golden_difference"] = _at_most(observed["golden_difference"], GOLDEN_TOLERANCE)
        checks["latency_p50_ms"] = _at_most(observed["latency_p50_ms"], limits.latency_p50_ms)
        checks["latency_p99_ms"] = _at_most(observed["latency_p99_ms"], limits.latency_p99_ms)
        checks["interface"] = _interface(observed, use_case)
    reasons = [f"{name}: {check['observed']}, allowed {check['limit']}" for name, check in checks.items() if not check["passed"]]
    return {"accepted": not reasons, "reasons": reasons, "checks": checks}


def _at_most(value: float, limit: float) -> dict[str, Any]:
    finite = math.isfinite(value)
    return {"passed": finite and value <= limit, "observed": value if finite else str(value), "limit": limit}


def _interface(observed: dict[str, Any], use_case: UseCase) -> dict[str, Any]:
    """The model must belong to the use case and read only what the endpoint can give it."""
    expected = {
        "use_case": use_case.name,
        "feature_service": use_case.feature_service,
        "event_time": use_case.event_time,
        "columns": sorted({item.source.replace(":", "__") for item in use_case.inputs}),
    }
    differences = {name: {"package": observed[name], "use case": value} for name, value in expected.items() if observed[name] != value}
    return {"passed": not differences, "observed": differences or "as the use case declares", "limit": "no difference"}


def _probe(folder: Path, digest: str, seconds: float) -> tuple[dict[str, Any] | None, str | None]:
    """What the child measured, or why there is nothing."""
    command = [sys.executable, "-m", "include.release.probe", str(folder), digest]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    try:
        child = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {seconds:g} s"
    if child.returncode < 0:
        return None, f"the process that loaded it died of {signal.Signals(-child.returncode).name}"
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        return None, f"the process that loaded it ended with {child.returncode}: {child.stderr.strip()[-ERROR_CHARACTERS:]}"
    if "error" in answer:
        return None, str(answer["error"])[:ERROR_CHARACTERS]
    return answer, None
