"""The stages of a rollout: what the tasks of a deployment are called, and what each does to the
traffic.
"""

from __future__ import annotations

from dataclasses import dataclass

from include.errors import SpecError
from include.spec import AB, Bandit, BlueGreen, Canary, Release, Shadow
from include.spec.messages import suggestion

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_HOUR = 3600.0
LOOKS_PER_BAKE = 4
FASTEST_LOOK, SLOWEST_LOOK = 5.0, 60.0


@dataclass(frozen=True)
class Stage:
    """One task of a rollout: the challenger's share (0: it is a shadow), and how many seconds lie
    between two looks at it. It lasts `patience_seconds` at most, then a person decides.
    """

    index: int
    name: str
    share: float
    look_seconds: float
    patience_seconds: float


def stages_of(release: Release) -> tuple[Stage, ...]:
    """The stages in their order; none of a direct release."""
    strategy = release.strategy
    if isinstance(strategy, Canary):
        looks = _looks(strategy.bake_seconds)
        return tuple(
            Stage(number, f"shift_to_{_percent(share)}", share, looks, strategy.patience_seconds)
            for number, share in enumerate(strategy.steps)
        )
    if isinstance(strategy, Shadow):
        looks = _looks(strategy.minutes * SECONDS_PER_MINUTE)
        patience = strategy.patience_minutes * SECONDS_PER_MINUTE
        return (Stage(0, "mirror_traffic", 0.0, looks, patience),)
    if isinstance(strategy, BlueGreen):
        seconds = strategy.switch_back_minutes * SECONDS_PER_MINUTE
        return (Stage(0, "switch_traffic", 1.0, _looks(seconds), seconds),)
    if isinstance(strategy, AB):
        patience = strategy.patience_hours * SECONDS_PER_HOUR
        return (Stage(0, "compare_versions", strategy.share, _looks(patience), patience),)
    if isinstance(strategy, Bandit):
        patience = strategy.patience_hours * SECONDS_PER_HOUR
        looks = min(strategy.update_seconds, SLOWEST_LOOK)
        return (Stage(0, "explore_versions", strategy.floor, looks, patience),)
    return ()


def stage_named(release: Release, name: str) -> Stage:
    """The stage of that name; `SpecError` lists those that there are."""
    stages = {stage.name: stage for stage in stages_of(release)}
    if name not in stages:
        raise SpecError(f"The release has no stage {name!r}{suggestion(name, stages)}")
    return stages[name]


def longest_seconds(release: Release) -> float:
    """The longest that a release may take: every stage's patience, and every person's time."""
    stages = stages_of(release)
    people = len(stages) + (1 if release.needs_approval else 0)
    return sum(stage.patience_seconds for stage in stages) + (
        people * release.approval_hours * SECONDS_PER_HOUR
    )


def _looks(seconds: float) -> float:
    return min(max(seconds / LOOKS_PER_BAKE, FASTEST_LOOK), SLOWEST_LOOK)


def _percent(share: float) -> str:
    return f"{100 * share:g}".replace(".", "_") + "_percent"
