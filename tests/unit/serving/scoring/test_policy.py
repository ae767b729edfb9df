"""Which rows the specification's policy refuses, by what code, and in which order."""

from __future__ import annotations

import pytest

from include.features.online.store import LookedUp
from include.spec import UseCase
from include.use_cases.flight_delays.spec import USE_CASE
from serving.contract.errors import InvalidError
from serving.scoring.policy import OneIsRefusedError, refuse_by_policy

KINDS = {
    "unknown": ("unknown_entities", "unknown_entity"),
    "stale": ("stale_features", "stale_features"),
    "newer": ("newer_features", "newer_features"),
}


def looked_up(**views: str) -> LookedUp:
    """Two rows, of which the second is blemished."""
    blemishes = {kind: [(), (views[kind],) if kind in views else ()] for kind in KINDS}
    return LookedUp([{}, {}], **blemishes)


def refusing(*kinds: str) -> UseCase:
    changes = {KINDS[kind][0]: "refuse" for kind in kinds}
    serving = USE_CASE.serving.model_copy(update=changes)
    return USE_CASE.model_copy(update={"serving": serving})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_refused_by_its_own_code_and_only_where_the_policy_says_so(kind: str) -> None:
    blemished = looked_up(**{kind: "weather_hourly"})
    others = [other for other in KINDS if other != kind]
    refuse_by_policy(USE_CASE, blemished, [2])
    refuse_by_policy(refusing(*others), blemished, [2])
    with pytest.raises(InvalidError) as refused:
        refuse_by_policy(refusing(kind), blemished, [2])
    assert (refused.value.status, refused.value.code, refused.value.field) == (
        422,
        KINDS[kind][1],
        "rows[1]",
    )
    assert "weather_hourly" in refused.value.message
    assert "the row's own features" in (refused.value.valid or ())


def test_one_refused_row_among_several_requests_is_looked_for_in_each_alone() -> None:
    with pytest.raises(OneIsRefusedError):
        refuse_by_policy(refusing("newer"), looked_up(newer="plane"), [1, 1])
