"""What a reviewer may choose, and who is one: cheap to import, for DAG files read it."""

from __future__ import annotations

from typing import Literal, get_args

from include.release.approval import Right
from include.spec import Review

Outcome = Literal["upheld", "overturned"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
UPHOLD, OVERTURN = "Uphold", "Overturn"
OPTIONS: dict[str, Outcome] = {UPHOLD: "upheld", OVERTURN: "overturned"}
"""What the form's options mean."""
DECISION = "decision"
"""The form's field in which the person says what replaces an overturned decision."""


def right_to(review: Review, option: str = UPHOLD) -> Right:
    """The right to choose an option of a review; of none of them, that of upholding."""
    chosen = option if option in OPTIONS else UPHOLD
    return Right(review.reviewers, chosen, tuple(OPTIONS), review.hours)
