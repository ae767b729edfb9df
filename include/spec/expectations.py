"""What a model is expected to do beyond its metrics: treat groups alike, and answer changed inputs
sensibly.

Declared in `Gates`, checked on the test rows of every candidate.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, model_validator

from include.spec.base import Part, Share, in_order, is_recorded


class FairnessGroups(Part):
    """Groups of rows between which decisions may not differ too much.

    Rows of no group are left out. A named group without any row is a refusal, and so are fewer than
    two groups that can be judged. Selection rate: share of positive decisions at
    `serving.decision_threshold`. True-positive rate: of the rows with a positive label, the share
    decided positive; false-positive rate: of those with a negative one. The difference is largest
    less smallest rate over the groups, the ratio smallest over largest. Where groups really differ
    in how often the event happens, equal selection rates would be wrong: judge such groups by their
    true-positive rate and give the other two wide limits. Of a multiclass problem "positive" is
    `problem.positive`, predicted or true. Of a regression only `max_error_difference` counts.
    """

    column: str = Field(description="The input, entity key or request field that groups rows.")
    groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description=(
            "The groups' names and the values of `column` that belong to each. Empty by default:"
            " every value is a group of its own."
        ),
    )
    minimum_rows: int = Field(
        default=300,
        ge=1,
        description="From how many rows on a group is judged. 300 by default: a rate is then known"
        " to about 0.06.",
    )
    minimum_class_rows: int = Field(
        default=50,
        ge=1,
        description=(
            "How many positives (negatives) a group needs for its rate over them to be judged. 50"
            " by default: a rate is then known to about 0.14."
        ),
    )
    minimum_rate: Share = Field(
        default=0.05,
        description=(
            "From which largest rate on a ratio is judged. 0.05 by default: the ratio of two tiny"
            " rates is chance."
        ),
    )
    max_selection_difference: Share = Field(
        default=0.2, description="Largest difference of selection rates. 0.2 by default: a fifth."
    )
    min_selection_ratio: Share = Field(
        default=0.5,
        description="Least ratio of selection rates. 0.5 by default, below the four-fifths rule:"
        " base rates may differ.",
    )
    max_true_positive_difference: Share = Field(
        default=0.2,
        description="Largest difference of true-positive rates. 0.2 by default: a fifth.",
    )
    min_true_positive_ratio: Share = Field(
        default=0.5,
        description="Least ratio of true-positive rates. 0.5 by default: half as often.",
    )
    max_false_positive_difference: Share = Field(
        default=0.2,
        description="Largest difference of false-positive rates. 0.2 by default: a fifth.",
    )
    min_false_positive_ratio: Share = Field(
        default=0.4,
        description="Least ratio of false-positive rates. 0.4 by default: these rates are small,"
        " and their ratio is noisier.",
    )
    max_error_difference: float | None = Field(
        default=None,
        gt=0.0,
        description=(
            "Of a regression, largest difference between the groups' mean errors (prediction less"
            " label), in the label's unit. None by default: only a regression has and needs it."
        ),
    )

    @model_validator(mode="after")
    def _groups_are_disjoint(self) -> FairnessGroups:
        values = [value for members in self.groups.values() for value in members]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(
                f"fairness groups of {self.column!r}: {repeated} are in more than one group"
            )
        return self


class Invariance(Part):
    """Inputs whose values hardly matter: exchanged between rows, together, they change scores by at
    most `max_change` in the mean.

    An exchange keeps every value real and breaks its tie to the row.
    """

    inputs: tuple[str, ...] = Field(
        min_length=1, description="The inputs' names; they are exchanged together."
    )
    max_change: float = Field(
        default=0.01,
        ge=0.0,
        description=(
            "Largest mean absolute change of the score, in probability (of a regression in standard"
            " deviations of the labels). 0.01 by default: as good as none."
        ),
    )


class Direction(Part):
    """What more of one number input does: with `change` added to every known value, the mean score
    does not move against `expect`.

    It is the mean over the rows that really changed. No row that changes is a refusal.
    """

    input: str = Field(description="The input's name; of kind number.")
    change: float = Field(description="What is added, in the input's unit; not 0.")
    expect: Literal["not_lower", "not_higher"] = Field(
        description="Where the mean score may not go: below or above what it was."
    )
    tolerance: float = Field(
        default=0.0,
        ge=0.0,
        description=(
            "By how much the mean score may miss the expectation, in probability (of a regression"
            " in standard deviations of the labels). 0 by default: not at all."
        ),
    )
    minimum: float | None = Field(
        default=None,
        description="Changed values stay at or above it, in the input's unit. None by default: no"
        " bound.",
    )
    maximum: float | None = Field(
        default=None,
        description="Changed values stay at or below it, in the input's unit. None by default: no"
        " bound.",
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Direction:
        if self.change == 0.0:
            raise ValueError(f"direction of {self.input!r}: change is 0, which tests nothing")
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self, info: ValidationInfo) -> Direction:
        if not is_recorded(info):
            in_order(f"direction of {self.input!r}", self.minimum, self.maximum)
        return self
