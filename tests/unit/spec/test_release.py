"""How a use case declares its releases, and what of it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from include.errors import SpecError
from include.spec import (
    AB,
    Bandit,
    BlueGreen,
    Canary,
    Direct,
    Release,
    RiskClass,
    Shadow,
    Strategy,
    UseCase,
)
from tests.unit.model.synthetic import USE_CASE

FIELDS = {name: getattr(USE_CASE, name) for name in UseCase.model_fields}


def declared(**release: Any) -> UseCase:
    return UseCase(**{**FIELDS, "release": Release(**release)})


def test_a_release_is_direct_and_needs_no_approval_unless_it_says_more() -> None:
    release = USE_CASE.release
    assert (release.strategy, release.needs_approval) == (Direct(), False)
    assert release.unit_of(USE_CASE) == USE_CASE.serving.entity_keys
    assert release.salt_of(USE_CASE) == USE_CASE.name


def test_unit_and_salt_are_those_that_are_declared() -> None:
    unit = USE_CASE.request_columns[-1:]
    release = declared(unit=unit, salt="second trial").release
    assert (release.unit_of(USE_CASE), release.salt_of(USE_CASE)) == (unit, "second trial")


@pytest.mark.parametrize(
    "strategy", [Direct(), BlueGreen(), Shadow(), Canary(), AB(), Bandit()], ids=lambda s: s.kind
)
def test_every_strategy_is_read_back_from_json_as_it_was(strategy: Strategy) -> None:
    release = Release(strategy=strategy)
    assert Release.model_validate_json(release.model_dump_json()) == release


@pytest.mark.parametrize(
    ("policy", "risk", "needed"),
    [
        ("none", "high", False),
        ("all", "minimal", True),
        ("by_risk", "limited", False),
        ("by_risk", "high", True),
    ],
)
def test_the_policy_says_which_releases_need_an_approval(
    policy: str, risk: RiskClass, needed: bool
) -> None:
    release = Release(approval=policy, risk_class=risk, approvers=("reviewer",))
    assert release.needs_approval is needed


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"risk_class": "high"}, ("approvers", "approval='none'")),
        ({"approval": "all"}, ("approvers",)),
        ({"approvers": ("a", "a")}, ("approvers", "twice")),
        ({"strategy": {"kind": "canery"}}, ("canery", "did you mean 'canary'")),
        ({"aproval": "all"}, ("aproval", "did you mean 'approval'")),
        ({"risk_class": "hihg"}, ("hihg", "did you mean 'high'")),
    ],
)
def test_a_release_that_cannot_be_is_refused(fields: Any, names: tuple[str, ...]) -> None:
    with pytest.raises(SpecError) as refused:
        Release(**fields)
    assert all(name in str(refused.value) for name in names), str(refused.value)


@pytest.mark.parametrize("steps", [(), (0.0,), (0.5, 0.25), (0.25, 0.25), (0.5, 1.0)])
def test_the_steps_of_a_canary_rise_below_the_whole(steps: tuple[float, ...]) -> None:
    with pytest.raises(SpecError, match="steps"):
        Canary(steps=steps)


def test_a_canary_waits_at_least_as_long_as_it_bakes() -> None:
    with pytest.raises(SpecError, match="patience_seconds is 5, less than bake_seconds 60"):
        Canary(bake_seconds=60, patience_seconds=5)


def test_the_unit_is_made_of_what_a_caller_sends() -> None:
    with pytest.raises(SpecError, match=r"release\.unit is 'nobody'.*valid"):
        declared(unit=("nobody",))
