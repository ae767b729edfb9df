"""A router decides which version answers a request.

The batcher asks a `Router` and knows nothing of releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from weakref import WeakKeyDictionary

from include.spec import UseCase
from serving.contract.errors import UnanswerableError
from serving.contract.question import Question
from serving.models.slots import ModelSlot
from serving.models.traffic import Traffic
from serving.router.splitter import Splitter
from serving.scoring.arm import Arm, Picked


class Router(Protocol):
    """Gives every request its arm, or each of its rows."""

    def pick(self, question: Question) -> Picked:
        """Return the arm that answers, or a list of one for each row where they differ; raise
        `UnanswerableError` when none is in service.

        It is called in the event loop and in the batcher's thread, at the moment of scoring, and
        may be called more than once for a request. So it neither waits nor draws lots: as long as
        the same plan is in force, the same row gets the same arm, and each arm stays one object.
        """
        ...


class PlanRouter:
    """Each use case's plan decides; with one arm nothing is computed."""

    def __init__(self, slots: Mapping[str, ModelSlot]) -> None:
        self._slots = slots
        # With its plan a splitter ends, and lets go of the versions.
        self._splitters: WeakKeyDictionary[Traffic, Splitter] = WeakKeyDictionary()

    def pick(self, question: Question) -> Picked:
        """Return the arm or the arms that the plan in force gives the request's rows."""
        slot = self._slots.get(question.use_case)
        if slot is None:
            raise _forgotten(question.use_case)
        slot.requested = True
        traffic = slot.traffic or slot.in_force()
        if question.version is not None:
            return _version_of(traffic, question)
        if traffic.only is not None:
            return traffic.only
        splitter = self._splitters.get(traffic) or self._open_splitter(slot.contract, traffic)
        arm_of = splitter.arm_of
        rows = question.rows
        if len(rows) == 1:
            return arm_of(rows[0])
        arms = [arm_of(row) for row in rows]
        return arms[0] if all(arm is arms[0] for arm in arms) else arms

    def _open_splitter(self, use_case: UseCase, traffic: Traffic) -> Splitter:
        plan = traffic.issued.plan
        keys = use_case.serving.entity_keys
        splitter = Splitter(plan, traffic.arms, plan.unit or keys, use_case.request_columns)
        self._splitters[traffic] = splitter
        return splitter


def _forgotten(use_case: str) -> UnanswerableError:
    return UnanswerableError(
        404, "unknown_use_case", f"The use case {use_case!r} was removed.", "use_case"
    )


def _version_of(traffic: Traffic, question: Question) -> Arm:
    for arm in traffic.arms:
        if arm.version == question.version:
            return arm
    raise UnanswerableError(
        404,
        "unknown_version",
        f"Version {question.version} of {question.use_case} is not in service.",
        "version",
        [str(arm.version) for arm in traffic.arms],
    )
