"""Copies of the packages that an endpoint follows, for the time when the model store is gone or
damaged.

    <serving_dir>/<use_case>/last_good/<version>-<digest>/   of the plan in force and that before it

A copy appears complete or not at all. Checking it is for whoever loads it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from include.files import publishing
from include.model.package import package_digest
from include.release.plan import PlannedArm, last_good_path
from include.settings import Settings


def copies_folder(settings: Settings, use_case: str) -> Path:
    """Where the copies lie."""
    return last_good_path(settings, use_case).with_name("last_good")


def copy_of(settings: Settings, use_case: str, version: int, digest: str) -> Path | None:
    """The copy of a version; None where there is none."""
    folder = copies_folder(settings, use_case)
    # Homes from before the plans name a copy by its digest alone.
    for path in (folder / _name(version, digest), folder / digest):
        if path.is_dir():
            return path
    return None


def copy_package(
    settings: Settings, use_case: str, version: int, digest: str, source: Path
) -> Path:
    """Copy a version's package, unless an intact copy is there; raises `OSError` when there is no
    space.
    """
    copy = copies_folder(settings, use_case) / _name(version, digest)
    if copy.is_dir() and copy != source and package_digest(copy) != digest:
        shutil.rmtree(copy)
    if not copy.is_dir():
        # Of several processes that copy at once, one wins for all.
        with (
            suppress(FileExistsError),
            publishing(copy, durable=True, replace=False) as aside,
        ):
            shutil.copytree(source, aside, dirs_exist_ok=True)
    return copy


def remove_other_copies(settings: Settings, use_case: str, arms: Iterable[PlannedArm]) -> None:
    """Take away the copies of all versions but these."""
    folder = copies_folder(settings, use_case)
    names = {name for arm in arms for name in (_name(arm.version, arm.digest), arm.digest)}
    for path in folder.glob("*"):
        if path.name not in names and not path.name.startswith("."):
            shutil.rmtree(path, ignore_errors=True)


def _name(version: int, digest: str) -> str:
    return f"{version}-{digest}"
