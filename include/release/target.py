"""Whether a package fits the machines that it is meant for: interpreter, architecture, locked
libraries, memory.

The package's own scoring libraries are compared with what requirements.txt installs on the target,
not with what is installed here.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import Marker, default_environment

from include.settings import PROJECT_ROOT
from include.spec import Target
from include.verdict import Finding

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(?:;\s*([^\\]+))?")
LOCK = PROJECT_ROOT / "requirements.txt"


def target_checks(
    target: Target,
    recorded: Mapping[str, str],
    libraries: Sequence[str],
    measured: Mapping[str, Any],
    lock: Path = LOCK,
) -> list[Finding]:
    """Compare a package with its target: Python, machine, libraries and memory, one finding each.

    `recorded` are the versions that the package was trained with, `wanted` those of them that
    score, `measured` what `include.model.probe` found in the process that loaded it.
    """
    python = target.python or _minor(platform.python_version())
    machine = target.machine or platform.machine()
    memory = measured["peak_memory_mb"]
    return [
        _same("target_python", _minor(measured["python"]), python),
        _same("target_machine", measured["machine"], machine),
        _libraries(recorded, libraries, locked_versions(lock, python, machine), python, machine),
        package_finding(
            "target_memory_mb",
            memory,
            target.memory_megabytes,
            passed=memory <= target.memory_megabytes,
        ),
    ]


def package_finding(rule: str, observed: Any, limit: Any, *, passed: bool) -> Finding:
    """Tell what a package is, and what it may be; both are plain JSON."""
    return Finding(
        rule=rule,
        observed=observed,
        limit=limit,
        passed=passed,
        reason=f"{observed}, allowed {limit}",
    )


def locked_versions(lock: Path, python: str, machine: str) -> dict[str, str]:
    """Library -> the version that the lock installs under Python `python` (such as 3.12) on
    `machine`; nothing without a lock.
    """
    environment = {name: str(value) for name, value in default_environment().items()}
    environment.update(
        python_version=python, python_full_version=f"{python}.0", platform_machine=machine
    )
    versions: dict[str, str] = {}
    if not lock.is_file():
        return versions
    for line in lock.read_text(encoding="utf-8").splitlines():
        pin = PIN.match(line)
        if pin and (pin[3] is None or Marker(pin[3].strip()).evaluate(environment)):
            versions[pin[1].lower()] = pin[2]
    return versions


def _libraries(
    recorded: Mapping[str, str],
    names: Sequence[str],
    locked: Mapping[str, str],
    python: str,
    machine: str,
) -> Finding:
    where = f"for Python {python} on {machine}"
    differences = {
        name: (
            f"trained with {recorded.get(name, 'an unrecorded version')}, locked {where} is"
            f" {locked.get(name, 'none')}"
        )
        for name in names
        if recorded.get(name) != locked.get(name)
    }
    return package_finding(
        "target_libraries",
        differences or f"as locked {where}",
        "the locked versions",
        passed=not differences,
    )


def _same(rule: str, observed: str, expected: str) -> Finding:
    return package_finding(
        rule,
        f"checked on {observed}",
        f"{expected}; check the package on such a machine",
        passed=observed == expected,
    )


def _minor(full: str) -> str:
    return ".".join(full.split(".")[:2])
