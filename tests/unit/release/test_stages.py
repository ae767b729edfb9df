"""What the tasks of a rollout are called, and what each does."""

from __future__ import annotations

import pytest

from include.errors import SpecError
from include.release.rollout.stages import longest_seconds, stage_named, stages_of
from include.spec import AB, Bandit, BlueGreen, Canary, Direct, Release, Shadow, Strategy


@pytest.mark.parametrize(
    ("strategy", "names", "shares"),
    [
        (Direct(), [], []),
        (BlueGreen(), ["switch_traffic"], [1.0]),
        (Shadow(), ["mirror_traffic"], [0.0]),
        (
            Canary(steps=(0.005, 0.5)),
            ["shift_to_0_5_percent", "shift_to_50_percent"],
            [0.005, 0.5],
        ),
        (AB(share=0.3), ["compare_versions"], [0.3]),
        (Bandit(floor=0.1), ["explore_versions"], [0.1]),
    ],
)
def test_each_strategy_has_its_stages(
    strategy: Strategy, names: list[str], shares: list[float]
) -> None:
    stages = stages_of(Release(strategy=strategy))
    assert [stage.name for stage in stages] == names
    assert [stage.share for stage in stages] == shares
    assert [stage.index for stage in stages] == list(range(len(names)))


def test_a_short_bake_is_looked_at_more_often() -> None:
    (short,) = stages_of(Release(strategy=Canary(steps=(0.5,), bake_seconds=40)))
    (long,) = stages_of(Release(strategy=Canary(steps=(0.5,), bake_seconds=3600)))
    assert (short.look_seconds, long.look_seconds) == (10.0, 60.0)


def test_a_comparison_that_is_short_of_patience_is_looked_at_more_often() -> None:
    (short,) = stages_of(Release(strategy=AB(patience_hours=0.01)))
    (long,) = stages_of(Release(strategy=AB()))
    assert (short.look_seconds, long.look_seconds) == (9.0, 60.0)


def test_the_longest_release_waits_for_every_stage_and_every_person() -> None:
    canary = Canary(steps=(0.1, 0.5), bake_seconds=10, patience_seconds=100)
    release = Release(strategy=canary, approval="all", approvers=("a",), approval_hours=1)
    assert longest_seconds(release) == 2 * 100 + 3 * 3600


def test_an_unknown_stage_is_named_with_what_was_meant() -> None:
    with pytest.raises(SpecError, match="did you mean 'shift_to_5_percent'"):
        stage_named(Release(strategy=Canary()), "shift_to_5_percents")
