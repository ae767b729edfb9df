"""The traffic of a use case as a process serves it: a plan with all its versions loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.release.plan import IssuedPlan
from serving.scoring.arm import Arm
from serving.scoring.served_model import ServedModel

Key = tuple[int, str]
"""Version and digest."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Traffic:
    """A plan in force. `arms` begin with the champion; `only` is the arm that answers every row,
    None where several do.
    """

    issued: IssuedPlan
    arms: tuple[Arm, ...]
    only: Arm | None

    @property
    def champion(self) -> Arm:
        """The arm that answers where another fails."""
        return self.arms[0]

    def models(self) -> dict[Key, ServedModel]:
        """The loaded versions."""
        return {(arm.version, arm.model.digest): arm.model for arm in self.arms}


def open_traffic(issued: IssuedPlan, models: Mapping[Key, ServedModel]) -> Traffic | None:
    """Put a plan into force with its versions loaded; None for a plan without arms."""
    plan = issued.plan
    chief = plan.champion
    if chief is None:
        return None
    champion = Arm(
        "champion",
        chief.version,
        models[chief.version, chief.digest],
        chief.share,
        plan.sequence,
    )
    others = tuple(
        Arm(
            arm.role,
            arm.version,
            models[arm.version, arm.digest],
            arm.share,
            plan.sequence,
            champion,
        )
        for arm in plan.arms
        if arm is not chief
    )
    arms = (champion, *others)
    answering = [arm for arm in arms if arm.share > 0]
    return Traffic(issued, arms, answering[0] if len(answering) == 1 else None)
