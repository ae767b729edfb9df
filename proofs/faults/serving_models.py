"""Versions that must not serve are asked for, under load: truncated, tampered with, and one that
kills the process which parses it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from include.release.model_store import set_desired, version_folder
from proofs.faults.line import Line
from proofs.harness.damage.packages import (
    change_model,
    digest_anew,
    flipped,
    halved,
    sign_anew,
    wild_parent,
)
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.traffic import Traffic
from proofs.harness.world import World

REFUSAL_SECONDS = 60.0

Damage = Callable[[World, Path], str]


def truncated(world: World, folder: Path) -> str:
    """Half of the model's file is missing."""
    change_model(folder, halved)
    return world.digests[2]


def tampered(world: World, folder: Path) -> str:  # noqa: ARG001  # all damages are called alike
    """One byte of the model is another, and the digests were made anew to fit; the signature cannot
    be.
    """
    change_model(folder, flipped)
    return digest_anew(folder)


def crashing(world: World, folder: Path) -> str:
    """A node has a parent far outside of its tree, and everything was signed:

    XGBoost reads there and dies.
    """
    change_model(folder, wild_parent)
    return sign_anew(world.settings, folder)


def swap_in(
    endpoint: Endpoint, world: World, name: str, damage: Damage, reason: str, *, version: int
) -> Line:
    """Publish version 2's package with a damage and ask for it, while callers ask."""
    folder = version_folder(world.settings, USE_CASE, version)
    shutil.copytree(version_folder(world.settings, USE_CASE, 2), folder)
    digest = damage(world, folder)
    with Traffic(endpoint.url, world.rows, callers=2, retries=False).flowing() as traffic:
        traffic.wait_for(20)
        set_desired(world.settings, USE_CASE, version, digest)
        error = _wait_for_error(endpoint, version)
        traffic.wait_for(20)
        set_desired(world.settings, USE_CASE, 1, world.digests[1])
        endpoint.wait_for_version(1)
    shutil.rmtree(folder)
    return Line(
        f"swap in a {name} model",
        f"0 client errors, version 1 answers, refused for {reason}",
        f"{sum(traffic.errors.values())} client errors, version"
        f" {' and '.join(map(str, traffic.versions))} answers, refused for"
        f" {reason if reason in error else error or 'nothing'}",
        f"{len(traffic.answered)} answers; {error}{_told(traffic)}",
    )


def swap_good(endpoint: Endpoint, world: World, *, swaps: int) -> Line:
    """Two good versions take turns while callers ask."""
    slowest = 0.0
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        for number in range(swaps):
            traffic.wait_for(20)
            version = 2 - number % 2
            set_desired(world.settings, USE_CASE, version, world.digests[version])
            slowest = max(slowest, endpoint.wait_for_version(version))
        traffic.wait_for(20)
        set_desired(world.settings, USE_CASE, 1, world.digests[1])
        endpoint.wait_for_version(1)
    return Line(
        f"swap good versions {swaps} times under load",
        "0 client errors, versions [1, 2] answer",
        f"{sum(traffic.errors.values())} client errors, versions {traffic.versions} answer",
        f"{len(traffic.answered)} answers, slowest {traffic.slowest:.1f} s, slowest swap"
        f" {slowest:.1f} s{_told(traffic)}",
    )


def _told(traffic: Traffic) -> str:
    """What callers were told instead of an answer, if any were."""
    return f"; errors: {dict(traffic.errors)}" if traffic.errors else ""


def _wait_for_error(endpoint: Endpoint, version: int) -> str:
    """What the endpoint says about the version that it was asked for."""
    deadline = time.monotonic() + REFUSAL_SECONDS
    while time.monotonic() < deadline:
        status = endpoint.model()
        if status["last_error"] and status["desired_version"] == version:
            return str(status["last_error"])
        time.sleep(0.1)
    return ""
