"""Plans: signed, only ever newer, and read from homes that hold none yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.errors import ReleaseError, ServingError, SignatureError
from include.release.plan import (
    Plan,
    PlannedArm,
    former_path,
    last_good_path,
    one_arm,
    plan_path,
    read_issued,
    read_plan,
    write_plan,
    write_plan_by_hand,
)
from include.settings import Settings, load_settings

NAME = "flight_delays"
CHAMPION = PlannedArm(role="champion", version=1, digest="a" * 64, share=0.95)
CHALLENGER = PlannedArm(role="challenger", version=2, digest="b" * 64, share=0.05)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path / "home")})


def canary(sequence: int, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "use_case": NAME,
        "sequence": sequence,
        "arms": (CHAMPION, CHALLENGER),
        "unit": ("tailnum",),
        "salt": "s",
        "decided_by": "hash",
    }
    return Plan(**(fields | changes))


def test_a_plan_is_read_as_it_was_written(home: Settings) -> None:
    assert read_plan(home, NAME) is None
    write_plan(home, canary(3))
    assert read_plan(home, NAME) == canary(3)
    assert canary(3).champion == CHAMPION
    assert canary(3).fingerprint != canary(4).fingerprint


def test_the_sequence_only_rises(home: Settings) -> None:
    write_plan(home, canary(3))
    write_plan(home, canary(3))
    for late in (canary(2), canary(3, salt="other")):
        with pytest.raises(ReleaseError, match="late: plan 3 is in force"):
            write_plan(home, late)
    write_plan(home, canary(4, salt="other"))
    assert read_plan(home, NAME) == canary(4, salt="other")


def test_a_plan_by_hand_stands_between_two_decided_ones(home: Settings) -> None:
    write_plan(home, canary(3))
    (champion,) = one_arm(NAME, 1, "a" * 64).arms
    by_hand = write_plan_by_hand(home, NAME, (champion,))
    assert (by_hand.sequence, by_hand.unit, by_hand.salt) == (3, ("tailnum",), "s")
    again = write_plan_by_hand(home, NAME, (champion,))
    issued = read_issued(home, NAME)
    assert issued is not None
    assert (issued.plan, issued.order) == (again, (3, 2))
    with pytest.raises(ReleaseError, match="late"):
        write_plan(home, canary(3))
    write_plan(home, canary(4))


@pytest.mark.parametrize(
    ("field", "value"),
    [("sequence", 9), ("salt", "other"), ("decided_by", "x"), ("unit", ["dest"])],
)
def test_an_altered_plan_is_refused(home: Settings, field: str, value: Any) -> None:
    write_plan(home, canary(3))
    document = json.loads(plan_path(home, NAME).read_bytes())
    document["plan"][field] = value
    plan_path(home, NAME).write_text(json.dumps(document))
    with pytest.raises(SignatureError, match=r"plan\.json was not signed by our key, or altered"):
        read_plan(home, NAME)


def test_a_plan_that_another_key_signed_or_of_another_use_case_is_refused(
    home: Settings, tmp_path: Path
) -> None:
    elsewhere = load_settings({"FLIGHTDECK_HOME": str(tmp_path / "elsewhere")})
    write_plan(elsewhere, canary(3))
    write_plan(home, canary(1, use_case="other"))
    path = plan_path(home, NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(plan_path(elsewhere, NAME).read_bytes())
    with pytest.raises(SignatureError, match="not signed by our key"):
        read_plan(home, NAME)
    path.write_bytes(plan_path(home, "other").read_bytes())
    with pytest.raises(ServingError, match="a plan of 'other'"):
        read_plan(home, NAME)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"plan": {}}', '{"plan": 1, "revision": 2}'])
def test_a_broken_plan_is_named_and_the_next_one_takes_its_place(
    home: Settings, content: str
) -> None:
    path = plan_path(home, NAME)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ServingError, match=r"plan\.json does not hold a plan"):
        read_plan(home, NAME)
    write_plan(home, canary(1))
    assert read_plan(home, NAME) == canary(1)


def test_after_a_damage_the_next_plan_still_comes_after_what_was_followed(home: Settings) -> None:
    write_plan(home, canary(7))
    followed = {"issued": json.loads(plan_path(home, NAME).read_bytes())}
    last_good_path(home, NAME).write_text(json.dumps(followed))
    plan_path(home, NAME).write_text("{")
    with pytest.raises(ReleaseError, match="plan 7 is in force"):
        write_plan(home, canary(6))
    (champion,) = one_arm(NAME, 1, "a" * 64).arms
    assert write_plan_by_hand(home, NAME, (champion,)).sequence == 7
    issued = read_issued(home, NAME)
    assert issued is not None
    assert issued.order == (7, 1)


def test_a_home_from_before_the_plans_is_read_until_the_first_plan(home: Settings) -> None:
    path = former_path(home, NAME)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 4, "digest": "d" * 64, "folder": "/models/4"}))
    issued = read_issued(home, NAME)
    assert issued is not None
    assert (issued.plan, issued.former) == (one_arm(NAME, 4, "d" * 64), True)
    path.write_text(json.dumps({"version": None}))
    withdrawn = read_plan(home, NAME)
    assert withdrawn is not None
    assert withdrawn.arms == ()
    write_plan(home, canary(0))
    assert read_plan(home, NAME) == canary(0)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"version": 99}', '{"version": -5, "digest": "d"}']
)
def test_a_former_state_that_names_no_version_is_refused(home: Settings, content: str) -> None:
    path = former_path(home, NAME)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ServingError, match=r"desired\.json does not hold version and digest"):
        read_plan(home, NAME)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"arms": (CHALLENGER.model_copy(update={"share": 1.0}),)}, "one champion"),
        ({"arms": (CHAMPION, CHAMPION.model_copy(update={"version": 3}))}, "one champion"),
        ({"arms": (CHAMPION,)}, r"add up to 1, not to 0\.95"),
        ({"arms": (CHAMPION, CHALLENGER.model_copy(update={"version": 1}))}, "one arm"),
        ({"shadow": CHALLENGER}, "role shadow"),
        (
            {"arms": (), "shadow": PlannedArm(role="shadow", version=3, digest="c", share=0)},
            "needs",
        ),
    ],
)
def test_a_plan_that_contradicts_itself_is_not_made(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        canary(1, **changes)
