"""How a model is trained and on which rows it is measured."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, PositiveFloat, ValidationInfo, model_validator

from include.spec.base import Part, Share, is_recorded, suggestion
from include.spec.estimators import Estimator, XGBoost

FitIn = Literal["memory", "external_memory", "dask"]


class Training(Part):
    """Window, split and estimator of one training.

    The window ends at the run's data interval end. The split is in time: the oldest rows train, the
    next ones stop early and tune, the newest test. Rounds, early stopping and pruning are
    XGBoost's.
    """

    window_days: int = Field(
        ge=1,
        description="Length of the window, in days. No default: it is the first thing to decide.",
    )
    estimator: Estimator = Field(
        default=XGBoost(),
        description="XGBoost (the default: it takes missing values and categories as they are) or"
        " one of scikit-learn.",
    )
    fit_in: FitIn = Field(
        default="memory",
        description=(
            "Where the rows of the final fit are: `memory`; `external_memory`, on the disk in pages"
            " that XGBoost reads again and again; `dask`, spread over the workers of a Dask cluster"
            " (docs/scale.md). `memory` by default: the fastest as long as it is enough."
        ),
    )
    train_share: Share = Field(
        default=0.7,
        description="Share of the window's rows that train, the oldest. 0.7 by default.",
    )
    validation_share: Share = Field(
        default=0.15,
        description=(
            "Share of the rows after them that stop early and tune. 0.15 by default: as many as"
            " remain for the test."
        ),
    )
    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Fewer labelled rows in the window are a refusal. 1,000 by default: below that"
        " the test split says little.",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="The estimator's own parameters by name. Empty by default: the estimator's"
        " defaults.",
    )
    boost_rounds: int = Field(
        default=400,
        ge=1,
        description="Largest number of boosting rounds. 400 by default: early stopping ends"
        " sooner.",
    )
    early_stopping_rounds: int = Field(
        default=25,
        ge=1,
        description="Rounds without a better validation loss after which a fit ends. 25 by"
        " default.",
    )
    search_space: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description=(
            "Parameters that are searched: name -> (low, high); both integers means an integer."
            " Empty by default: nothing is searched."
        ),
    )
    log_scale: tuple[str, ...] = Field(
        default=(),
        description="Those of them that are drawn on a logarithmic scale. Empty by default.",
    )
    trials: int = Field(
        default=5,
        ge=1,
        description="Trials after which the search ends. 5 by default: a search in minutes.",
    )
    trial_rows: int = Field(
        default=30_000,
        ge=100,
        description="Largest number of training rows that a trial fits on, the newest. 30,000 by"
        " default: enough to rank parameters.",
    )
    tuning_seconds: float = Field(
        default=900.0,
        gt=0.0,
        description="Seconds of fitting after which the search ends, restarts included. 900 by"
        " default: a quarter of an hour.",
    )
    prune_after_rounds: int = Field(
        default=60,
        ge=1,
        description=(
            "From the third finished trial on, a trial that is worse than their median is pruned,"
            " not before this round. 60 by default: earlier losses rank badly."
        ),
    )
    group_by: str | None = Field(
        default=None,
        description=(
            "An entity key or request field whose rows must not straddle splits: a group goes where"
            " its newest row goes. None by default: rows are independent."
        ),
    )
    class_weights: tuple[PositiveFloat, ...] | None = Field(
        default=None,
        description=(
            "Weights of the rows of label 0 and 1 (or of each class, in order) in the fit, never in"
            " a metric. None by default: they would cost calibration."
        ),
    )
    seed: int = Field(
        default=20130101,
        description="Seed of everything random in a training and in its gates. A date by default.",
    )

    @model_validator(mode="after")
    def _test_rows_remain(self) -> Training:
        if self.train_share + self.validation_share >= 1.0:
            raise ValueError(
                f"train_share {self.train_share:g} + validation_share {self.validation_share:g}"
                " must be below 1: the remainder is the test split"
            )
        return self

    @model_validator(mode="after")
    def _search_can_be(self, info: ValidationInfo) -> Training:
        if is_recorded(info):
            return self
        for name, (low, high) in self.search_space.items():
            where = f"search_space of {name!r} is ({low:g}, {high:g})"
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"{where}; both bounds must be finite numbers")
            if low >= high:
                raise ValueError(f"{where}; the low bound must lie below the high one")
            if name in self.log_scale and low <= 0.0:
                raise ValueError(
                    f"{where}, and log_scale names it; a logarithmic scale begins above 0"
                )
        for name in self.log_scale:
            if self.search_space and name not in self.search_space:
                raise ValueError(
                    f"log_scale names {name!r}, which is not searched"
                    f"{suggestion(name, self.search_space)}"
                )
        return self


class Slice(Part):
    """A partition of the rows on which every metric is computed as well: one slice per value of
    `column`, or per pair of values of two columns.
    """

    column: str = Field(description="The input, entity key or request field that cuts the rows.")
    minimum_rows: int = Field(
        default=300,
        ge=1,
        description="Smaller slices are listed and not judged. 300 rows by default: a rate is then"
        " known to about 0.06.",
    )
    crossed_with: str | None = Field(
        default=None,
        description="A second column: one slice per pair of values. None by default.",
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, of a crossing both."""
        return (self.column,) if self.crossed_with is None else (self.column, self.crossed_with)

    @property
    def name(self) -> str:
        """`<column>`, or `<column>_x_<crossed_with>`: what people read."""
        return "_x_".join(self.columns)


class Representation(Part):
    """Groups of which a training set must hold enough, so that what is learned is learned of them
    too.

    Counted are the rows that train, the oldest of the window (`training.train_share`). A group
    without any row counts as zero, and values of no group are named.
    """

    column: str = Field(
        description=(
            "The entity key or request field that groups rows, or another column that the data set"
            " declares (`data_set.columns`); text, a whole number or yes and no."
        )
    )
    groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description=(
            "The groups' names and the values of `column` that belong to each; `(missing)` is the"
            " missing value. Empty by default: each category that the column declares is a group."
        ),
    )
    minimum_rows: int = Field(
        default=100,
        ge=0,
        description="Least number of rows of each group. 100 by default: a rate is then known to"
        " about 0.1.",
    )
    minimum_share: Share = Field(
        default=0.0,
        description="Least share of the rows for each group. 0 by default: groups differ in size.",
    )
    minimum_positives: int = Field(
        default=0,
        ge=0,
        description="Least number of rows with a positive label of each group, of a binary problem."
        " 0 by default: not judged.",
    )
    minimum_positive_share: Share = Field(
        default=0.0,
        description="Least share of all positive rows for each group, of a binary problem. 0 by"
        " default: not judged.",
    )
    min_ratio_to_whole: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description=(
            "Least ratio of a group's share to its share of all questions of the data set before"
            " the window's end, with a label or without: what labels that come late or never do to"
            " a group. None by default: not judged."
        ),
    )
    max_other_share: Share = Field(
        default=0.0,
        description="Largest share of rows of no group. 0 by default: whoever names the groups"
        " names all.",
    )

    @model_validator(mode="after")
    def _can_refuse(self, info: ValidationInfo) -> Representation:
        if is_recorded(info):
            return self
        where = f"representation of {self.column!r}"
        values = [value for members in self.groups.values() for value in members]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"{where}: {repeated} are in more than one group")
        empty = sorted(name for name, members in self.groups.items() if not members)
        if empty:
            raise ValueError(f"{where}: groups {empty} name no value; list the values of each")
        count = len(self.groups)
        for field in ("minimum_share", "minimum_positive_share"):
            least = getattr(self, field)
            if count and least * count > 1.0:
                raise ValueError(
                    f"{where}: {field} is {least:g} for each of {count} groups, more than all rows"
                    f" together; at most {1 / count:g} can be met"
                )
        return self


class Golden(Part):
    """Labelled rows that are set aside once and never trained on: every candidate of every window
    is measured on the same ones.
    """

    until: datetime = Field(
        description="They have an event time before this moment (with its time zone)."
    )
    rows: int = Field(
        default=2000,
        ge=1,
        description="Largest number of rows. 2,000 by default: a rate is then known to about 0.02.",
    )
    max_share: Share = Field(
        default=0.1,
        description="Largest share of the labelled rows before `until`. 0.1 by default: the rest"
        " remains for training.",
    )

    @model_validator(mode="after")
    def _timezone_aware(self) -> Golden:
        if self.until.tzinfo is None:
            raise ValueError(
                f"until is {self.until}, without a time zone; write datetime(..., tzinfo=UTC)"
            )
        return self
