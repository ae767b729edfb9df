"""The gates on the package itself: its size, its files, how it loads and answers in a fresh
process, how fast it is.

They judge one `Inspection`, made in a child process before this process opened the package.
"""

from __future__ import annotations

import math

from include.evaluation.gates.base import GateInput
from include.model.inspection import GOLDEN_TOLERANCE, Inspection
from include.verdict import Finding

BYTES_PER_MEGABYTE = 1e6
PACKAGE = "package"


def package_size(candidate: GateInput) -> list[Finding]:
    """The files of the package weigh at most `max_package_megabytes`."""
    inspected, missing = _inspection(candidate)
    limit = candidate.limits.max_package_megabytes
    if inspected is None:
        return [_row("package_size", "megabytes", limit, None, missing, passed=False)]
    return [_at_most("package_size", "megabytes", limit, inspected.size_bytes / BYTES_PER_MEGABYTE)]


def artefact_safety(candidate: GateInput) -> list[Finding]:
    """Nothing but the files of a package, each in its own format: no pickle, no code, no link."""
    inspected, missing = _inspection(candidate)
    if inspected is None:
        return [_row("artefact_safety", "files", None, None, missing, passed=False)]
    reason = (
        f"refused files: {'; '.join(inspected.unsafe)}"
        if inspected.unsafe
        else "only the files of a package, each in its format"
    )
    return [
        _row(
            "artefact_safety",
            "files",
            0.0,
            float(len(inspected.unsafe)),
            reason,
            passed=not inspected.unsafe,
        )
    ]


def runtime_validity(candidate: GateInput) -> list[Finding]:
    """In a fresh process it loads, beside the libraries it was trained with, and gives its golden
    answers within 1e-6.
    """
    inspected, missing = _inspection(candidate)
    if inspected is None or inspected.measured is None:
        reason = missing if inspected is None else inspected.problem
        return [_row("runtime_validity", "loads", None, None, reason, passed=False)]
    measured = inspected.measured
    different = measured["libraries"]
    reason = f"other libraries: {different}" if different else "the libraries of the training"
    return [
        _row(
            "runtime_validity",
            "loads",
            None,
            None,
            "loaded in a fresh process, digest verified",
            passed=True,
        ),
        _row(
            "runtime_validity",
            "libraries",
            0.0,
            float(len(different)),
            reason,
            passed=not different,
        ),
        _at_most(
            "runtime_validity", "golden_difference", GOLDEN_TOLERANCE, measured["golden_difference"]
        ),
    ]


def latency(candidate: GateInput) -> list[Finding]:
    """One row and 1,000 rows, transformed and scored as the endpoint does it, within the declared
    milliseconds.
    """
    limits = candidate.limits
    limit_of = {
        "latency_p50_ms": limits.max_latency_p50_ms,
        "latency_p99_ms": limits.max_latency_p99_ms,
        "batch_ms": limits.max_batch_ms,
    }
    inspected, missing = _inspection(candidate)
    if inspected is None or inspected.measured is None:
        reason = missing if inspected is None else f"not measured: {inspected.problem}"
        return [
            _row("latency", name, limit, None, reason, passed=False)
            for name, limit in limit_of.items()
        ]
    return [
        _at_most("latency", name, limit, inspected.measured[name])
        for name, limit in limit_of.items()
    ]


PACKAGE_GATES = (package_size, artefact_safety, runtime_validity, latency)


def _inspection(candidate: GateInput) -> tuple[Inspection | None, str]:
    """The inspection of the package that was evaluated, or why there is none.

    `evaluated_object` judges that it still is that one.
    """
    inspected = candidate.inspection
    if inspected is None:
        return None, candidate.problem or "the package was not inspected"
    if inspected.measured is not None and inspected.digest != candidate.evaluated_digest:
        return (
            None,
            (
                f"inspected was the package {inspected.digest[:16]}, evaluated was"
                f" {str(candidate.evaluated_digest)[:16]}"
            ),
        )
    return inspected, ""


def _at_most(gate: str, metric: str, limit: float, value: float) -> Finding:
    passed = math.isfinite(value) and value <= limit
    return _row(
        gate,
        metric,
        limit,
        value,
        "within the threshold" if passed else "above the threshold",
        passed=passed,
    )


def _row(
    gate: str, metric: str, limit: float | None, value: float | None, reason: str, *, passed: bool
) -> Finding:
    return Finding(
        rule=gate,
        metric=metric,
        subject=PACKAGE,
        limit=limit,
        observed=value,
        passed=passed,
        reason=reason,
    )
