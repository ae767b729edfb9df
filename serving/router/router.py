"""A router decides which version answers a request.

The batcher asks a `Router` and knows nothing of releases: a canary, an A/B test or a bandit is
another class with the same one method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from serving.contract.question import Question
from serving.models.slots import ModelSlot
from serving.router.arm import Arm


class Router(Protocol):
    """Gives every request its arm."""

    def pick(self, question: Question) -> Arm:
        """Return the arm that answers; raise `UnanswerableError` when none is in service.

        It is called in the event loop and in the batcher's thread, at the moment of scoring, and
        may be called more than once for a request. So it neither waits nor draws lots: as long as
        the same versions serve, the same request gets the same arm, and each arm stays one object.
        """
        ...


class ChampionRouter:
    """The one version that each use case's slot serves answers everything."""

    def __init__(self, slots: Mapping[str, ModelSlot]) -> None:
        self._slots = slots
        self._arms: dict[str, Arm] = {}

    def pick(self, question: Question) -> Arm:
        """Return the champion of the request's use case."""
        name = question.use_case
        served = self._slots[name].served()
        arm = self._arms.get(name)
        if arm is None or arm.model is not served:
            arm = self._arms[name] = Arm("champion", served.version, served, 1.0)
        return arm
