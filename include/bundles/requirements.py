"""Whether what is installed is what a bundle's lock says."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from include.errors import BundleError


def not_as_locked(lock: str) -> list[str]:
    """A sentence for each locked package that this interpreter has in another version, or not.

    What is installed beside the lock is not looked at.
    """
    problems = []
    for requirement in _requirements(lock):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            problems.append(f"{requirement} is not installed")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            problems.append(f"{requirement.name}{requirement.specifier} is {installed} here")
    return problems


def fits_python(requires: str, python: str) -> bool:
    """Whether a version of Python is one that the bundle runs on."""
    return SpecifierSet(requires).contains(python, prereleases=True)


def _requirements(lock: str) -> Iterator[Requirement]:
    """What the lock's lines name, without their hashes."""
    for line in lock.splitlines():
        text = line.partition(" \\")[0].strip()
        if not text or text.startswith(("#", "--")):
            continue
        try:
            yield Requirement(text)
        except InvalidRequirement as error:
            raise BundleError(
                f"requirements.txt of the bundle has a line {text!r}: {error}"
            ) from error
