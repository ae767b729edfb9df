"""The plan's router: one arm answers without being asked, several share units that stay with
them.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from include.release.plan import IssuedPlan, Plan, PlannedArm
from include.settings import PROJECT_ROOT
from serving.contract.errors import UnanswerableError
from serving.contract.question import Question
from serving.models.slots import ModelSlot
from serving.models.traffic import open_traffic
from serving.router.router import PlanRouter
from serving.scoring.arm import Arm

USE_CASE: Any = SimpleNamespace(
    name="case",
    serving=SimpleNamespace(entity_keys=("key",)),
    request_columns=("key", "place"),
)


class Slot(ModelSlot):
    """A slot without a model store."""

    def __init__(self, *shares: float, unit: tuple[str, ...] = (), salt: str = "salt") -> None:
        self.use_case = self.contract = USE_CASE
        self.put(*shares, unit=unit, salt=salt)

    def put(self, *shares: float, unit: tuple[str, ...] = (), salt: str = "salt") -> None:
        """Arm number n has version n + 1; the first is the champion."""
        arms = tuple(
            PlannedArm(
                role="challenger" if number else "champion",
                version=number + 1,
                digest=f"digest-{number}",
                share=share,
            )
            for number, share in enumerate(shares)
        )
        plan = Plan(use_case="case", sequence=7, arms=arms, unit=unit, salt=salt, decided_by="hash")
        models: Any = {
            (arm.version, arm.digest): SimpleNamespace(version=arm.version, digest=arm.digest)
            for arm in arms
        }
        self.traffic = open_traffic(IssuedPlan(plan), models)


def router(slot: Slot) -> PlanRouter:
    return PlanRouter({"case": slot})


def asked(*keys: Any, **fields: Any) -> Question:
    return Question("case", [{"key": key, **fields} for key in keys])


def version(slot: Slot, key: Any, **fields: Any) -> int:
    arm = router(slot).pick(asked(key, **fields))
    assert isinstance(arm, Arm)
    return arm.version


def test_with_one_arm_every_request_gets_it():
    slot = Slot(1.0)
    assert slot.traffic is not None
    arm = router(slot).pick(asked("a", "b"))
    assert isinstance(arm, Arm)
    assert (arm.role, arm.version, arm.share, arm.plan) == ("champion", 1, 1.0, 7)
    assert arm is slot.traffic.champion
    assert arm.fallback is None


def test_an_arm_without_a_share_answers_nothing_but_stays_loaded():
    slot = Slot(0.0, 1.0)
    arm = router(slot).pick(asked("a"))
    assert isinstance(arm, Arm)
    assert slot.traffic is not None
    assert (arm.version, arm.fallback) == (2, slot.traffic.champion)


def test_without_a_model_the_request_is_refused_by_name():
    with pytest.raises(UnanswerableError, match="No model of case is in service") as refused:
        router(Slot()).pick(asked("a"))
    assert (refused.value.status, refused.value.code) == (503, "no_model")


def test_each_arm_gets_its_share_of_the_units():
    slot = Slot(0.7, 0.2, 0.1)
    counts = {1: 0, 2: 0, 3: 0}
    for number in range(5_000):
        counts[version(slot, f"unit-{number}")] += 1
    for count, share in zip(counts.values(), (0.7, 0.2, 0.1), strict=True):
        assert count / 5_000 == pytest.approx(share, abs=0.02)


def test_raising_a_share_moves_no_unit_back():
    slot = Slot(0.95, 0.05)
    units = [f"unit-{number}" for number in range(1_000)]
    before = {unit for unit in units if version(slot, unit) == 2}
    for share in (0.1, 0.25, 0.5, 0.9, 1.0):
        slot.put(1.0 - share, share)
        after = {unit for unit in units if version(slot, unit) == 2}
        assert before < after
        before = after
    assert len(before) == len(units)


def test_the_rows_of_a_request_get_the_arms_of_their_own_units():
    slot = Slot(0.5, 0.5)
    keys = [f"unit-{number}" for number in range(20)]
    arms = router(slot).pick(asked(*keys))
    assert isinstance(arms, list)
    assert [arm.version for arm in arms] == [version(slot, key) for key in keys]
    alike = [key for key in keys if version(slot, key) == 2]
    arm = router(slot).pick(asked(*alike))
    assert isinstance(arm, Arm)
    assert arm.version == 2


def test_the_unit_is_what_the_plan_says_and_nothing_else():
    slot = Slot(0.5, 0.5, unit=("place",))
    versions = {version(slot, f"key-{number}", place="here") for number in range(50)}
    assert len(versions) == 1
    others = {version(slot, "key", place=f"place-{number}") for number in range(50)}
    assert others == {1, 2}
    # Two columns are not one: ("ab", "c") is another unit than ("a", "bc").
    both = Slot(0.5, 0.5, unit=("key", "place"))
    picks = [
        version(both, "a" * n, place="b") == version(both, "a", place="a" * (n - 1) + "b")
        for n in range(2, 60)
    ]
    assert not all(picks)


def test_rows_without_a_unit_do_not_all_fall_on_one_arm():
    slot = Slot(0.5, 0.5, unit=("key",))
    versions = {version(slot, None, place=f"place-{number}") for number in range(50)}
    assert versions == {1, 2}


def test_another_salt_is_another_split():
    units = [f"unit-{number}" for number in range(200)]
    first = [version(Slot(0.5, 0.5), unit) for unit in units]
    second = [version(Slot(0.5, 0.5, salt="other"), unit) for unit in units]
    assert 60 < sum(a != b for a, b in zip(first, second, strict=True)) < 140


def test_a_moment_is_one_unit_in_every_time_zone_and_a_missing_column_is_null():
    slot = Slot(0.5, 0.5, unit=("key", "place"))
    for hour in range(24):
        here = datetime(2013, 2, 5, hour, tzinfo=UTC)
        there = here.astimezone(timezone(timedelta(hours=-5)))
        assert version(slot, "key", place=here) == version(slot, "key", place=there)
        assert version(slot, here) == version(slot, there, place=None)


def test_units_that_come_again_meet_the_arm_that_was_drawn_for_them():
    slot = Slot(0.5, 0.5)
    units = [f"unit-{number}" for number in range(300)]
    one_router = router(slot)
    first = [one_router.pick(asked(unit)) for unit in units]
    assert [one_router.pick(asked(unit)) for unit in units] == first
    assert [arm.version for arm in first if isinstance(arm, Arm)] == [
        version(slot, unit) for unit in units
    ]


SPLIT_ELSEWHERE = """
from tests.unit.serving.router.test_router import Slot, version
slot = Slot(0.5, 0.5)
print([version(slot, key) for key in ["a", 7, 2.5, True, None, *"bcdefghij"]])
"""


@pytest.mark.slow
def test_the_same_unit_gets_the_same_arm_in_every_process():
    slot = Slot(0.5, 0.5)
    here = [version(slot, key) for key in ["a", 7, 2.5, True, None, *"bcdefghij"]]
    answer = subprocess.run(
        [sys.executable, "-c", SPLIT_ELSEWHERE],
        cwd=PROJECT_ROOT,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == str(here)


def test_a_caller_may_name_a_version_that_serves():
    slot = Slot(0.5, 0.5)
    for wanted in (1, 2):
        question = asked("a", "b")
        question.version = wanted
        arm = router(slot).pick(question)
        assert isinstance(arm, Arm)
        assert arm.version == wanted
    question.version = 9
    with pytest.raises(UnanswerableError, match="Version 9 of case is not in service"):
        router(slot).pick(question)


def test_another_plan_is_another_arm_and_the_one_in_flight_stays():
    slot = Slot(0.5, 0.5)
    routes = router(slot)
    before = routes.pick(asked("a"))
    slot.put(1.0)
    after = routes.pick(asked("a"))
    assert isinstance(before, Arm)
    assert isinstance(after, Arm)
    assert (after.share, before.share) == (1.0, 0.5)
