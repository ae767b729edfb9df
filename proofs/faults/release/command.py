"""`flightdeck faults release`: what a release bears, line by line, also in
`var/faults/release.json`, and a failure when a line does not hold.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from include.errors import FlightdeckError
from include.release.model_store import publish, set_desired
from include.settings import PROJECT_ROOT
from proofs.choices import check_names
from proofs.faults.line import Line, run_drills
from proofs.faults.release import kills, races, stores, versions
from proofs.faults.release.approvals import approval_lines
from proofs.faults.release.versions import Drill
from proofs.faults.release.world import (
    BETTER,
    CHAMPION,
    FLIPPED,
    IDENTICAL,
    LONG,
    SLICED,
    Driver,
    FaultyEndpoint,
    build_release_world,
)
from proofs.faults.release_ledger import attack_ledger
from proofs.harness.damage.ledger import ATTACKS
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.home import home_settings
from proofs.harness.ports import free_ports
from proofs.harness.tracking import with_registry

TABLE = PROJECT_ROOT / "var" / "faults" / "release.json"
SHARE = 0.1
LEAK_BYTES = 60_000
GROUPS = ("ledger", "good", "bad", "races", "kills", "stores", "approval")


@dataclass(frozen=True)
class Size:
    """How much of each fault is made: rounds of each race, kills of each step, attacks on the
    ledger.
    """

    rounds: int = 50
    kills: int = 8
    attacks: int = len(ATTACKS)


QUICK = Size(rounds=5, kills=2, attacks=4)


def faults_release(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer rounds, kills and attacks; not all versions.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help=f"Of {', '.join(GROUPS)}; may be repeated."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder with the endpoint's home and log.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the table is written as JSON; var/faults/release.json without it.",
        ),
    ] = None,
) -> int:
    """Release bad versions, race and kill releases, damage stores, forge approvals.

    Ends with 1 when a fault was not borne.
    """
    check_names("group", only or (), GROUPS)
    size, groups = QUICK if quick else Size(), tuple(only or GROUPS)
    return run_drills(
        "releases",
        lambda folder: run(folder, size, groups),
        table or TABLE,
        keep=keep,
    )


def run(folder: Path, size: Size, groups: Sequence[str]) -> list[Line]:
    """All lines of the groups, in order.

    Raises `PlatformError` when the endpoint or Airflow cannot be started.
    """
    lines: list[Line] = []
    if set(groups) - {"approval"}:
        lines += _with_endpoint(folder, size, groups)
    if "approval" in groups:
        lines += approval_lines(folder / "approval", _report)
    return lines


def drills(size: Size, scheduler: kills.Scheduler) -> list[tuple[str, Drill]]:
    """Group and drill of every line that needs one endpoint and a champion."""
    good, bad, whole = versions.good, versions.bad, size == Size()
    return [
        ("good", versions.canary_and_back),
        *([("good", good("an identical version", IDENTICAL))] if whole else []),
        *([("good", good("a slightly better version", BETTER))] if whole else []),
        ("good", versions.ten_requests),
        ("bad", bad("5 % of the rows fail in the new version", "errors", errors=0.05)),
        ("bad", bad("the new version takes 200 ms longer", "latency", slow_seconds=0.2)),
        ("bad", bad("the new version's sign is flipped, no labels", "scores", FLIPPED)),
        *(
            [
                (
                    "bad",
                    bad(
                        "the new version is wrong on one slice, no labels",
                        "slices",
                        SLICED,
                        strategy=LONG,
                    ),
                )
            ]
            if whole
            else []
        ),
        (
            "bad",
            bad(
                f"the new version leaks {LEAK_BYTES // 1000} kB a row",
                "memory",
                strategy=LONG,
                leak_bytes=LEAK_BYTES,
            ),
        ),
        ("races", races.promotions(size.rounds)),
        ("races", races.promotion_and_rollback(size.rounds)),
        *(("kills", drill) for _, drill in kills.killed_steps(size.kills, scheduler)),
        *([("stores", stores.mlflow_down)] if whole else []),
        ("stores", stores.previous_package("removed", stores.remove)),
        ("stores", stores.previous_package("damaged", stores.flip_a_bit)),
        ("stores", stores.alias_moved),
        ("stores", stores.champion_deleted),
    ]


def _with_endpoint(folder: Path, size: Size, groups: Sequence[str]) -> list[Line]:
    serving, mlflow = free_ports(2)
    home = folder / "home"
    settings = home_settings(home, SHARE, SERVING_PORT=serving, MLFLOW_PORT=mlflow, GRPC_PORT=0)
    world = build_release_world(settings)
    registered = with_registry(world, (CHAMPION, BETTER))
    drill = folder / "drill.json"
    drill.write_text("{}")
    set_desired(settings, USE_CASE, CHAMPION, world.digests[CHAMPION])
    lines: list[Line] = []
    with ExitStack() as stack:
        endpoint = stack.enter_context(FaultyEndpoint(registered, drill, port=serving))
        endpoint.wait_for_version(CHAMPION)
        if "ledger" in groups:
            started = time.monotonic()
            for line in attack_ledger(endpoint, world, ATTACKS[: size.attacks]):
                _report(line, time.monotonic() - started)
                lines.append(line)
                started = time.monotonic()
        driver = Driver(world, endpoint.settings, drill)
        driver.promote(CHAMPION)
        scheduler = stack.enter_context(kills.Scheduler(endpoint.settings, folder / "kills"))
        for group, fault in drills(size, scheduler):
            if group in groups:
                lines.append(_attempt(fault, driver, endpoint))
        if "good" in groups:
            other = stack.enter_context(FaultyEndpoint(registered, drill))
            other.wait_for_version(CHAMPION)
            lines.append(
                _attempt(lambda one, two: versions.replicas(one, two, other), driver, endpoint)
            )
    return lines


def _attempt(fault: Drill, driver: Driver, endpoint: Endpoint) -> Line:
    """One line; a fault that cannot be judged is a line that does not hold, and the champion is
    brought back for the next.
    """
    started = time.monotonic()
    try:
        line = fault(driver, endpoint)
    except (FlightdeckError, OSError, KeyError) as error:
        name = getattr(fault, "__qualname__", "a drill")
        line = Line(name, "a judgement", "none", f"{type(error).__name__}: {error}")
    _report(line, time.monotonic() - started)
    _bring_back(driver, endpoint)
    return line


def _bring_back(driver: Driver, endpoint: Endpoint) -> None:
    """Every package whole in the store, and the champion in service."""
    world = driver.world
    for version, package in world.packages.items():
        publish(driver.settings, USE_CASE, package, version, world.digests[version])
    if not endpoint.running:
        endpoint.start()
        endpoint.wait_for("/livez")
    if driver.champion() != CHAMPION or driver.shares() != {CHAMPION: 1.0}:
        driver.promote(CHAMPION)
    endpoint.wait_for_version(CHAMPION)


def _report(line: Line, seconds: float) -> None:
    mark = "as expected" if line.holds else f"NOT AS EXPECTED: {line.seen}; {line.detail}"
    print(f"{seconds:6.1f} s  {line.fault}: {mark}", flush=True)
