"""What a model is expected to do beyond its metrics: treat groups alike, and answer changed inputs
sensibly.

Declared in `Gates`, checked on the test rows of every candidate.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from include.spec.base import Part, Share


class FairnessGroups(Part):
    """Groups of rows between which decisions may not differ too much.

    `groups` names them and the values of `column` that belong to each; empty, every value is a
    group of its own. Rows of no group are left out. A group is judged from `minimum_rows` rows, its
    rates over positives or negatives from `minimum_class_rows` of them. A named group without any
    row is a refusal, and so are fewer than two groups that can be judged. Selection rate: share of
    positive decisions at `decision_threshold`. True-positive rate: of the rows with a positive
    label, the share decided positive; false-positive rate: of those with a negative one. The
    difference is largest less smallest rate over the groups, the ratio smallest over largest,
    judged where the largest rate is at least `minimum_rate` (of two tiny rates it is chance). Where
    groups really differ in how often the event happens, equal selection rates would be wrong: judge
    such groups by their true-positive rate and give the other two wide limits. Of a multiclass
    problem "positive" is `label.positive`, predicted or true. Of a regression only
    `max_error_difference` counts: between the groups' mean errors (prediction less label), in the
    label's unit.
    """

    column: str
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    minimum_rows: int = Field(default=300, ge=1)
    minimum_class_rows: int = Field(default=50, ge=1)
    minimum_rate: Share = 0.05
    max_selection_difference: Share = 0.2
    min_selection_ratio: Share = 0.5
    max_true_positive_difference: Share = 0.2
    min_true_positive_ratio: Share = 0.5
    max_false_positive_difference: Share = 0.2
    min_false_positive_ratio: Share = 0.4
    max_error_difference: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _groups_are_apart(self) -> FairnessGroups:
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

    inputs: tuple[str, ...] = Field(min_length=1)
    max_change: Share = 0.01


class Direction(Part):
    """What more of one number input does: with `change` added to every known value, the mean score
    does not move against `expect`.

    `change` is in the input's unit, and values stay between `minimum` and `maximum` (where given).
    The mean score over the rows that really changed may miss the expectation by `tolerance`. No row
    that changes is a refusal.
    """

    input: str
    change: float
    expect: Literal["not_lower", "not_higher"]
    tolerance: Share = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Direction:
        if self.change == 0.0:
            raise ValueError(f"direction of {self.input!r}: change is 0, which tests nothing")
        return self
