"""Whether what is installed is what a bundle's lock says."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from include.bundles.manifest import unpacked_manifest
from include.errors import BundleError

MOST_PACKAGES = 5


def require_installed(root: Path) -> None:
    """Raise `BundleError` unless this interpreter has what the bundle locks that is unpacked in
    `root`; its text has the command that makes it so.
    """
    manifest = unpacked_manifest(root)
    if manifest is None:
        raise BundleError(f"{root} is no unpacked bundle.")
    if not SpecifierSet(manifest.requires_python).contains(platform.python_version()):
        raise BundleError(
            f"The bundle runs on Python {manifest.requires_python}, and this is"
            f" {platform.python_version()}. Make the environment's .venv with another one."
        )
    lock = root / "requirements.txt"
    problems = not_as_locked(lock.read_text(encoding="utf-8"))
    if problems:
        more = f" and {len(problems) - MOST_PACKAGES} more" if len(problems) > MOST_PACKAGES else ""
        raise BundleError(
            f"What is installed is not what the bundle locks: {'; '.join(problems[:MOST_PACKAGES])}"
            f"{more}. Install that first, and deploy again:\n"
            f"  {Path(sys.executable).with_name('uv')} pip install --python {sys.executable}"
            f" --require-hashes --no-deps --compile-bytecode -r {lock}"
        )


def not_as_locked(lock: str) -> list[str]:
    """A sentence for each locked package that this interpreter has in another version, or not.

    What is installed beside the lock is not looked at.
    """
    problems = []
    for requirement in _requirements(lock):
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            problems.append(f"{requirement} is not installed")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            problems.append(f"{requirement.name}{requirement.specifier} is {installed} here")
    return problems


def locked_here(lock: str) -> list[str]:
    """The names of the packages that a lock has for this interpreter."""
    return [requirement.name for requirement in _requirements(lock)]


def _requirements(lock: str) -> Iterator[Requirement]:
    """What the lock's lines name for this interpreter, without their hashes."""
    for line in lock.splitlines():
        text = line.partition(" \\")[0].strip()
        if not text or text.startswith(("#", "--")):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise BundleError(
                f"requirements.txt of the bundle has a line {text!r}: {error}"
            ) from error
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement
