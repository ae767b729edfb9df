"""How a model is trained and on which rows it is measured."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, PositiveFloat, model_validator

from include.spec.base import Part, Share
from include.spec.estimators import Estimator, XGBoost


class Training(Part):
    """Window, split and estimator of one training.

    The window ends at the run's data interval end and is `window_days` long. The split is in time:
    the first `train_share` of the rows train, the next `validation_share` stop early and tune, the
    rest test. `estimator` is XGBoost or one of scikit-learn; `parameters` and `search_space` are
    the estimator's (`search_space`: name -> (low, high); both integers means an integer). Rounds,
    early stopping and pruning are XGBoost's. `group_by` names an entity key or request field whose
    rows must not straddle splits: a group goes where its newest row goes. `class_weights` weigh the
    rows of label 0 and 1 (or of each class) in the fit, never in a metric. The search ends after
    `trials` trials or `tuning_seconds` of fitting, restarts included. From the third finished trial
    on, a trial that is worse than their median is pruned, not before round `prune_after_rounds`.
    """

    window_days: int = Field(ge=1)
    estimator: Estimator = XGBoost()
    train_share: Share = 0.7
    validation_share: Share = 0.15
    minimum_rows: int = Field(default=1000, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    boost_rounds: int = Field(default=400, ge=1)
    early_stopping_rounds: int = Field(default=25, ge=1)
    search_space: dict[str, tuple[float, float]] = Field(default_factory=dict)
    log_scale: tuple[str, ...] = ()
    trials: int = Field(default=5, ge=1)
    trial_rows: int = Field(default=30_000, ge=100)
    tuning_seconds: float = Field(default=900.0, gt=0.0)
    prune_after_rounds: int = Field(default=60, ge=1)
    group_by: str | None = None
    class_weights: tuple[PositiveFloat, ...] | None = None
    seed: int = 20130101

    @model_validator(mode="after")
    def _test_rows_remain(self) -> Training:
        if self.train_share + self.validation_share >= 1.0:
            raise ValueError(
                "train_share + validation_share must be below 1: the remainder is the test split"
            )
        return self


class Slice(Part):
    """A partition of the rows on which every metric is computed as well: one slice per value of
    `column`.

    With `crossed_with` one slice per pair of values of the two columns.
    """

    column: str
    minimum_rows: int = Field(default=300, ge=1)
    crossed_with: str | None = None

    @property
    def name(self) -> str:
        """`<column>`, or `<column>_x_<crossed_with>`."""
        return self.column if self.crossed_with is None else f"{self.column}_x_{self.crossed_with}"


class Golden(Part):
    """Labelled rows that are set aside once and never trained on: every candidate of every window
    is measured on the same ones.

    At most `rows` of the labelled rows with an event time before `until`, and at most `max_share`
    of those.
    """

    until: datetime
    rows: int = Field(default=2000, ge=1)
    max_share: Share = 0.1

    @model_validator(mode="after")
    def _timezone_aware(self) -> Golden:
        if self.until.tzinfo is None:
            raise ValueError("until has no time zone; write datetime(..., tzinfo=UTC)")
        return self
