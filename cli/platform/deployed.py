"""A home in which a bundle is deployed runs its code, whichever checkout starts the platform."""

from __future__ import annotations

import os
import sys

from include.bundles.deployments import Deployments
from include.bundles.manifest import short
from include.bundles.requirements import require_installed
from include.bundles.unpacked import version_root
from include.settings import PROJECT_ROOT, Settings


def hand_over(settings: Settings, *arguments: str) -> None:
    """Become the same command of the deployed bundle's code; return where there is none, or where
    this is it.

    Raises `BundleError` where its files are gone, or other packages are installed than it locks.
    """
    version = Deployments(settings).current()
    if version is None:
        return
    root = version_root(settings, version)
    if root == PROJECT_ROOT:
        return
    require_installed(root)
    print(f"{settings.home} runs the pipeline {short(version)}, which is deployed.", flush=True)
    os.chdir(root)
    os.execve(  # noqa: S606  # our own interpreter and our own code
        sys.executable,
        [sys.executable, "-P", "-m", "cli", *arguments],
        {**os.environ, "PYTHONPATH": str(root)},
    )
