"""An arm is one of the versions that answer for a use case, and the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serving.scoring.served_model import ServedModel

Role = Literal["champion"]
"""What an arm is to the release: today there is one, the version that was promoted."""


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A version in service with its role and its share of the requests, 0 to 1.

    Two arms are the same only if they are one object: requests that are given the same object are
    scored together.
    """

    role: Role
    version: int
    model: ServedModel
    share: float
