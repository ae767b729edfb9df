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
from include.release.interfaces import interface_differences
from include.release.target import package_finding, target_checks
from include.settings import Settings
from include.spec import UseCase
from include.verdict import Finding, Verdict

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
    folder: Path,
    digest: str,
    use_case: UseCase,
    limits: Limits | None = None,
    *,
    settings: Settings | None = None,
) -> Verdict:
    """Check a package, one finding a rule; never raises for a bad package.

    With `settings`, features that only this version reads must be in Feast's registry. A process
    that dies while it loads the package is a refusal that names the signal.
    """
    limits = limits or limits_of(use_case)
    inspection = inspect_package(folder, digest, seconds=limits.seconds)
    findings = [
        _at_most("size_bytes", inspection.size_bytes, limits.size_bytes),
        package_finding(
            "loads",
            inspection.problem or "loaded in a fresh process",
            f"{limits.seconds:g} s",
            passed=inspection.measured is not None,
        ),
        package_finding(
            "files",
            inspection.unsafe,
            "the files of a package only",
            passed=not inspection.unsafe,
        ),
    ]
    if inspection.measured is not None:
        findings += _measured(folder, inspection.measured, use_case, limits, settings)
    return Verdict(findings=tuple(findings))


def _measured(
    folder: Path,
    measured: dict[str, Any],
    use_case: UseCase,
    limits: Limits,
    settings: Settings | None,
) -> list[Finding]:
    """What only a package that loads can be asked."""
    metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    return [
        _at_most("golden_difference", measured["golden_difference"], GOLDEN_TOLERANCE),
        *(
            _at_most(name, measured[name], getattr(limits, name))
            for name in ("latency_p50_ms", "latency_p99_ms", "batch_ms")
        ),
        package_finding(
            "libraries",
            measured["libraries"],
            "those of the training",
            passed=not measured["libraries"],
        ),
        _interface(folder, use_case, settings),
        *target_checks(use_case.target, metadata.libraries, metadata.scoring_libraries, measured),
    ]


def _at_most(rule: str, value: float, limit: float) -> Finding:
    finite = math.isfinite(value)
    return package_finding(
        rule, value if finite else str(value), limit, passed=finite and value <= limit
    )


def _interface(folder: Path, use_case: UseCase, settings: Settings | None) -> Finding:
    """The model must belong to the use case and read only what it can be asked with."""
    differences = interface_differences(folder, use_case, settings)
    return package_finding(
        "interface",
        differences or "as it can be asked",
        "no difference",
        passed=not differences,
    )
