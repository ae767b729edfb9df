"""Promotions at once with promotions and with roll-backs: one wins, and its version serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from include.errors import LateStep, ReleaseError
from include.processes import deployment
from include.release.plan import read_plan
from include.spec import Direct
from proofs.faults.line import Line
from proofs.faults.release.versions import Drill
from proofs.faults.release.world import BETTER, CHAMPION, IDENTICAL, Driver, failed
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.traffic import Traffic

Side = Callable[[], int]


def promotions(rounds: int) -> Drill:
    """Two promotions of different versions at the same moment."""

    def drill(driver: Driver, endpoint: Endpoint) -> Line:
        def sides() -> tuple[Side, Side]:
            first, second = sorted({CHAMPION, BETTER, IDENTICAL} - {driver.champion()})
            return _promotion(driver, first), _promotion(driver, second)

        return _race("two promotions at the same moment", driver, endpoint, sides, rounds)

    return drill


def promotion_and_rollback(rounds: int) -> Drill:
    """A promotion of a version and the rollback command to another at the same moment."""

    def drill(driver: Driver, endpoint: Endpoint) -> Line:
        def sides() -> tuple[Side, Side]:
            others = sorted({CHAMPION, BETTER, IDENTICAL} - {driver.champion()})
            return _promotion(driver, others[-1]), lambda: driver.back(others[0]).version

        driver.promote(BETTER)
        driver.promote(CHAMPION)
        name = "a promotion and a rollback at the same moment"
        return _race(name, driver, endpoint, sides, rounds)

    return drill


def _promotion(driver: Driver, version: int) -> Side:
    started = driver.begin(version, driver.context(Direct()))
    return lambda: deployment.promote_version(started.context, *started.inputs).version


def _race(
    name: str,
    driver: Driver,
    endpoint: Endpoint,
    sides: Callable[[], tuple[Side, Side]],
    rounds: int,
) -> Line:
    winners = serving = 0
    slowest, wins = 0.0, [0, 0]
    with driver.traffic(endpoint, callers=1).flowing() as traffic, ThreadPoolExecutor(2) as pool:
        for _ in range(rounds):
            started = time.monotonic()
            results = list(pool.map(_attempt, sides()))
            slowest = max(slowest, time.monotonic() - started)
            if results.count(None) == 1:
                winners += 1
                wins[0 if results[1] is None else 1] += 1
            serving += _serves(driver, endpoint, traffic, max(one or 0 for one in results))
    return Line(
        f"{name}, {rounds} rounds",
        f"one winner in {rounds}, whose version serves in {rounds}; 0 failed requests",
        f"one winner in {winners}, whose version serves in {serving}; {failed(traffic)}",
        f"the first won {wins[0]}, the second {wins[1]}; {driver.ledger.verify().number} rows, the"
        f" chain holds; {len(traffic.answers)} answers, slowest round {slowest:.1f} s",
    )


def _attempt(side: Side) -> int | None:
    """The version that was put into service; None where the other side was faster."""
    try:
        return side()
    except LateStep:
        return None


def _serves(driver: Driver, endpoint: Endpoint, traffic: Traffic, version: int) -> bool:
    """Whether ledger, plan and endpoint all say the winner."""
    row, plan = driver.newest(), read_plan(driver.settings, USE_CASE)
    if plan is None or row.event != "promoted":
        return False
    try:
        traffic.wait_for(1)
    except ReleaseError:
        return False
    serving = {row.version, *(arm.version for arm in plan.arms), endpoint.model()["version"]}
    return serving == {version} and driver.champion() == version
