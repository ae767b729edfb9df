"""What a rollout makes of good, equal and misbehaving versions, with requests flowing all the
while.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from include.processes.release_results import StageLook
from include.spec import Canary, Strategy
from proofs.faults.line import Line
from proofs.faults.release.world import (
    BETTER,
    CHAMPION,
    FAST,
    IDENTICAL,
    Driver,
    answered,
    failed,
    refusing_rules,
)
from proofs.harness.endpoint import Endpoint
from proofs.harness.traffic import Traffic, predict

Drill = Callable[[Driver, Endpoint], Line]
QUIET = Canary(steps=(0.5,), bake_seconds=1, minimum_rows=150, patience_seconds=4)
FEW = 10
SHOWN = 240


def canary_and_back(driver: Driver, endpoint: Endpoint) -> Line:
    """A canary that is promoted, and a roll-back by the command."""
    with driver.traffic(endpoint).flowing() as traffic:
        traffic.wait_for(50)
        look = driver.roll_out(BETTER)
        promoted = driver.newest()
        traffic.wait_for(50)
        back = driver.back()
        traffic.wait_for(50)
    versions = sorted({answer["model_version"] for answer in traffic.answers})
    return Line(
        "canary of a better version, promotion, then the rollback command",
        f"complete, {BETTER} promoted, then {CHAMPION} serves; versions [1, 2] answered,"
        " 0 failed requests",
        f"{_decision(look)}, {promoted.version} {promoted.event}, then {back.version} serves;"
        f" versions {versions} answered, {failed(traffic)}",
        f"{answered(traffic)}; {back.processes} process followed",
    )


def good(name: str, version: int, strategy: Strategy = FAST) -> Drill:
    """A version that is no worse than the champion is promoted."""

    def drill(driver: Driver, endpoint: Endpoint) -> Line:
        with driver.traffic(endpoint).flowing() as traffic:
            traffic.wait_for(200)
            look = driver.roll_out(version, strategy)
            promoted = driver.champion()
            driver.back()
        return Line(
            name,
            f"complete, version {version} promoted, 0 failed requests",
            f"{_decision(look)}, version {promoted} promoted, {failed(traffic)}",
            _detail(traffic, look),
        )

    return drill


def bad(
    name: str, rule: str, version: int = IDENTICAL, *, strategy: Strategy = FAST, **how: Any
) -> Drill:
    """A version that misbehaves as soon as it serves; `rule` must take it back. Its rows that were
    logged prove that it served.
    """

    def drill(driver: Driver, endpoint: Endpoint) -> Line:
        with driver.traffic(endpoint).flowing() as traffic, driver.misbehaving(version, **how):
            traffic.wait_for(200)
            look = driver.roll_out(version, strategy)
            row = driver.newest()
            if row.event == "promoted":
                driver.back()
            endpoint.wait_for_version(CHAMPION)
            traffic.wait_for(20)
        rules = refusing_rules(look)
        refusing = rule if rule in rules else ", ".join(rules) or _decision(look)
        return Line(
            name,
            f"rolled back for {rule}, version {CHAMPION} has all traffic, 0 failed requests",
            f"{_past(row.event)} for {refusing}, version {_whole(driver)} has all traffic,"
            f" {failed(traffic)}",
            _detail(traffic, look),
        )

    return drill


def ten_requests(driver: Driver, endpoint: Endpoint) -> Line:
    """Too few requests neither pass nor abort, although one of them failed: the stage holds for a
    person.
    """
    with ThreadPoolExecutor(1) as pool, driver.misbehaving(BETTER, first=1):
        rollout = pool.submit(driver.roll_out, BETTER, QUIET)
        before = driver.newest().number
        while driver.newest().number == before and not rollout.done():
            endpoint.model()
        answers = [predict(endpoint.client, [row])[0] for row in driver.world.rows[:FEW]]
        look = rollout.result()
    share = driver.shares().get(BETTER, 0.0)
    driver.back()
    good_ones = sum(answer is not None and answer.status_code == 200 for answer in answers)
    return Line(
        f"{FEW} requests only, one of which the new version fails to answer",
        f"hold, version {BETTER} stays at 50 %, {FEW} of {FEW} requests answered",
        f"{_decision(look)}, version {BETTER} stays at {100 * share:.0f} %,"
        f" {good_ones} of {FEW} requests answered",
        "" if look is None else look.reason[:SHOWN],
    )


def replicas(driver: Driver, endpoint: Endpoint, other: Endpoint) -> Line:
    """Two endpoints on two ports over one store: both follow, and one unit meets one version."""
    with (
        driver.traffic(endpoint, callers=2).flowing() as traffic,
        driver.traffic(other, callers=2).flowing() as more,
    ):
        look = driver.roll_out(BETTER)
        row = driver.newest()
        traffic.wait_for(20)
        more.wait_for(20)
        driver.back()
    followed = len(row.evidence.get("processes", ()))
    return Line(
        "a canary over two replicas of the endpoint on two ports",
        "complete, 2 processes followed the promotion, both answered by both versions,"
        " 0 failed requests",
        f"{_decision(look)}, {followed} processes followed the promotion,"
        f" {_both(traffic, more)} answered by both versions, {failed(traffic, more)}",
        f"{answered(traffic)}; the other: {answered(more)}",
    )


def _both(*traffics: Traffic) -> str:
    whole = [traffic.versions == [CHAMPION, BETTER] for traffic in traffics]
    return "both" if all(whole) else f"{sum(whole)} of {len(whole)}"


def _decision(look: StageLook | None) -> str:
    if look is None:
        return "nothing to compare"
    return look.move if look.move != "abort" else f"abort for {', '.join(refusing_rules(look))}"


def _past(event: str) -> str:
    return event.replace("_", " ")


def _whole(driver: Driver) -> str:
    """The version that has all traffic by the plan in force; several where it is shared."""
    return " and ".join(str(version) for version in driver.shares())


def _detail(traffic: Traffic, look: StageLook | None) -> str:
    return f"{answered(traffic)}; {'' if look is None else look.reason[:SHOWN]}"
