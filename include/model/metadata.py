"""metadata.json of a model package: where the model comes from, what it is, and beside which
libraries it scores.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from include.model.answers import Answers, answers_of
from include.model.fitted import BOOSTER_FILE, SKOPS_FILE
from include.spec import ProblemKind, RequestColumn
from include.spec.estimators import TRUSTED_TYPE

XGBOOST = "xgboost"
SCORING_LIBRARIES = ("numpy", "polars", XGBOOST)
SKLEARN_LIBRARIES = ("numpy", "polars", "scikit-learn", "scipy", "skops")
"""What turns a row into a score: a package serves only beside the versions of these with which it
was trained.
"""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingInterval(_Record):
    """The run's data interval `[start, end)`, UTC."""

    start: datetime
    end: datetime


class SnapshotRecord(_Record):
    """The training set: one version of one Delta table, and the digest of its rows."""

    name: str
    uri: str
    version: int
    digest: str


class ModelMetadata(_Record):
    """Where a model comes from, and what it is.

    `metrics` are those of the test split; `base_rate` is the positives' share of the train split,
    the mean label of a regression, the share of the commonest of several classes; `prior` are all
    classes' shares. `estimator` is `xgboost`, a class of scikit-learn by its path, or
    `model:<factory>`; `trusted_types` are those that its declaration adds to the allow-list;
    `architecture` is `Fitted.describe`. `label_spread` is the standard deviation of a regression's
    labels in the train split. `request` is what callers send a model of this training, and
    `window_start` the first moment of the rows that it was made from (empty or None: an older
    package does not say); the interval's end is their last.
    """

    use_case: str
    run_id: str
    feature_service: str
    interval: TrainingInterval
    snapshot: SnapshotRecord
    seed: int
    parameters: dict[str, Any]
    best_iteration: int
    base_rate: float
    decision_threshold: float
    metrics: dict[str, float]
    libraries: dict[str, str]
    code_commit: str
    problem: ProblemKind = "binary"
    classes: tuple[str, ...] = ()
    prior: tuple[float, ...] = ()
    label_spread: float | None = None
    estimator: str = XGBOOST
    trusted_types: tuple[str, ...] = ()
    architecture: dict[str, Any] = {}
    window_start: datetime | None = None
    request: tuple[RequestColumn, ...] = ()

    @field_validator("trusted_types")
    @classmethod
    def _trustworthy(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in value if not TRUSTED_TYPE.match(name)]
        if wrong:
            raise ValueError(
                f"{wrong} may not be trusted: only types of sklearn, numpy, scipy and"
                " include.use_cases.<name>"
            )
        return value

    @property
    def trained_on(self) -> tuple[datetime, datetime]:
        """First and last moment of the rows that it was made from, as far as the package says."""
        return self.window_start or self.interval.start, self.interval.end

    @property
    def answers(self) -> Answers:
        """How the model's scores become answers."""
        return answers_of(self.problem, self.classes, self.decision_threshold)

    @property
    def is_explainable(self) -> bool:
        """Whether it has one raw score that trees add up to."""
        return self.estimator == XGBOOST and self.answers.has_one_score

    @property
    def model_file(self) -> str:
        """The name of the model's file in the package."""
        return BOOSTER_FILE if self.estimator == XGBOOST else SKOPS_FILE

    @property
    def scoring_libraries(self) -> tuple[str, ...]:
        """The libraries whose versions must be those of the training."""
        return SCORING_LIBRARIES if self.estimator == XGBOOST else SKLEARN_LIBRARIES
