"""What follows from a verdict: the next move of a release, by its strategy. Nothing here reads a
clock, a file or a table.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MoveKind = Literal["advance", "wait", "hold", "abort", "complete"]


class Move(BaseModel):
    """What the release does next.

    `advance` puts a plan with `challenger_share` in force, `wait` looks again later, `hold` leaves
    the shares and asks a person, `abort` gives all traffic back to the champion, `complete`
    promotes the challenger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: MoveKind = Field(description="what the release does next")
    challenger_share: float = Field(
        ge=0.0, le=1.0, description="the challenger's share of the traffic after the move"
    )
    reason: str = Field(description="why, as a sentence with figures")
