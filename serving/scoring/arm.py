"""An arm is one of the versions that answer for a use case, and the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass

from include.release.plan import Role
from serving.scoring.served_model import ServedModel


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A version in service with its role and its share of the rows, 0 to 1.

    Two arms are the same only if they are one object. `plan` is the sequence of the plan that it
    belongs to. `fallback` answers the rows that this arm fails to score: the champion, for every
    other arm.
    """

    role: Role
    version: int
    model: ServedModel
    share: float
    plan: int = 0
    fallback: Arm | None = None


Picked = Arm | list[Arm]
"""What answers a request: one arm, or one for each of its rows."""
