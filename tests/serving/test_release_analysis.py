"""The analysis of a rollout on what a live endpoint has answered under its plans, and a few lines
of `make faults-release` over the same endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.catalogue import load_use_case
from include.interval import Interval
from include.release.analysis.observe import observe
from include.release.analysis.registry import analyse
from include.release.followers import wait_until_followed
from include.release.model_store import set_desired
from include.release.plan import Plan, PlannedArm, write_plan
from include.release.replay import replay
from include.spec import Canary, Release
from proofs.faults.release.kills import Scheduler, killed_steps
from proofs.faults.release.races import promotion_and_rollback
from proofs.faults.release.versions import bad
from proofs.faults.release.world import VERSIONS, Driver, FaultyEndpoint
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.home import home_settings
from proofs.harness.logged import logged_rows
from proofs.harness.world import World, build_world, with_many_units

pytestmark = pytest.mark.slow
SECONDS = 60.0
BATCH = 20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    settings = home_settings(tmp_path_factory.mktemp("analysis") / "home", share=0.15)
    return build_world(settings, versions=VERSIONS)


@pytest.fixture(scope="module")
def drill(world: World) -> Path:
    """The file that says which version misbehaves."""
    path = world.settings.home / "drill.json"
    path.write_text("{}")
    return path


@pytest.fixture(scope="module")
def endpoint(world: World, drill: Path) -> Iterator[Endpoint]:
    set_desired(world.settings, USE_CASE, 1, world.digests[1])
    with FaultyEndpoint(world.settings, drill) as running:
        running.wait_for("/readyz")
        yield running


# These come first: the plans of the tests below were decided by no row of a ledger.
@pytest.fixture(scope="module")
def driver(world: World, endpoint: Endpoint, drill: Path) -> Driver:
    """Version 1 was released."""
    driver = Driver(with_many_units(world), endpoint.settings, drill)
    driver.promote(1)
    return driver


def test_a_version_whose_rows_fail_is_rolled_back_and_no_caller_notices(
    driver: Driver, endpoint: Endpoint
) -> None:
    line = bad("5 % of the rows fail", "errors", 2, errors=0.05)(driver, endpoint)
    assert line.holds, line


def test_whoever_promotes_may_be_killed_at_any_write(
    driver: Driver, endpoint: Endpoint, tmp_path: Path
) -> None:
    with Scheduler(endpoint.settings, tmp_path) as scheduler:
        promotion = dict(killed_steps(2, scheduler))["promote_version"]
        line = promotion(driver, endpoint)
    assert line.holds, line


def test_of_a_promotion_and_a_rollback_at_once_one_wins_and_the_other_does_not_wait(
    driver: Driver, endpoint: Endpoint
) -> None:
    line = promotion_and_rollback(2)(driver, endpoint)
    assert line.holds, line


def half(world: World, sequence: int) -> Plan:
    """Version 1 is the champion, version 2 gets half of the units."""
    champion = PlannedArm(role="champion", version=1, digest=world.digests[1], share=0.5)
    challenger = PlannedArm(role="challenger", version=2, digest=world.digests[2], share=0.5)
    return Plan(
        use_case=USE_CASE,
        sequence=sequence,
        arms=(champion, challenger),
        unit=("tailnum", "dest"),
        salt="analysis",
        decided_by="0" * 64,
    )


def ask(endpoint: Endpoint, world: World, rows: int) -> None:
    """Have `rows` rows answered, a few at a time."""
    for start in range(0, rows, BATCH):
        place = start % (len(world.rows) - BATCH)
        endpoint.predict(world.rows[place : place + BATCH]).raise_for_status()


def test_both_versions_are_measured_by_the_digests_of_what_answered(
    endpoint: Endpoint, world: World
) -> None:
    settings, use_case = world.settings, load_use_case(USE_CASE)
    ask(endpoint, world, 200)
    plan = half(world, 41)
    write_plan(settings, plan)
    wait_until_followed(settings, plan, seconds=SECONDS)
    ask(endpoint, world, 400)
    observed = observe(settings, use_case, [plan])
    now = observed.now
    assert now.champion.rows + now.challenger.rows == 400
    assert min(now.champion.rows, now.challenger.rows) > 100
    assert (now.champion.digest, now.challenger.digest) == (world.digests[1], world.digests[2])
    assert observed.strangers == {}
    assert observed.slow_ms is not None
    assert observed.slices_problem == ""
    assert {part.label for part in observed.slices} >= {"origin=EWR", "origin=JFK", "origin=LGA"}
    assert now.challenger.units is not None
    assert observed.memory
    verdict = analyse(Release(strategy=Canary(minimum_rows=100)), observed)
    assert verdict.challenger_version == 2
    # A few flights asked again and again are few units, however many rows they are.
    assert now.clustering.scores > 1.0
    assert verdict.refused == []
    # A plan that names another package than the one that answers proves nothing about it.
    claimed = plan.model_copy(
        update={
            "arms": (plan.arms[0], plan.arms[1].model_copy(update={"digest": "e" * 64})),
        }
    )
    foreign = observe(settings, use_case, [claimed])
    assert foreign.strangers == {world.digests[2]: now.challenger.rows}
    assert analyse(Release(strategy=Canary(minimum_rows=100)), foreign).outcome == "failed"


def test_a_replayed_version_gives_its_own_live_answers_again(
    endpoint: Endpoint, world: World
) -> None:
    ask(endpoint, world, 60)
    observe(world.settings, load_use_case(USE_CASE), [half(world, 41)])  # ships the log
    answered = logged_rows(world.settings).filter(plan=41)["answered_at"]
    window = Interval(answered.min(), answered.max())
    result = replay(world.settings, load_use_case(USE_CASE), 2, window)
    assert result.rows > 60
    assert set(result.answered_by) == {"1", "2"}
    assert result.mean_difference > 0.0
