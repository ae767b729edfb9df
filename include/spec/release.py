"""How a new version comes into service: strategy, unit of traffic, limits of the analysis, and who
must approve; who reviews its single decisions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from include.spec.base import Part, Share, all_different

if TYPE_CHECKING:
    from include.spec.use_case import UseCase

RiskClass = Literal["minimal", "limited", "high"]
StrategyKind = Literal["direct", "blue_green", "shadow", "canary", "ab", "bandit"]
APPROVED_RISKS: tuple[RiskClass, ...] = ("high",)
"""The risk classes whose releases a person approves under the policy `by_risk`."""


class Direct(Part):
    """The endpoint swaps in one step, after the package's checks."""

    kind: Literal["direct"] = Field(default="direct", description="The strategy's name.")


class BlueGreen(Part):
    """All traffic goes to the new version at once, the one before it stays loaded, and takes it all
    back when the analysis fails within the switch-back time.
    """

    kind: Literal["blue_green"] = Field(default="blue_green", description="The strategy's name.")
    switch_back_minutes: float = Field(
        default=30.0,
        gt=0.0,
        description="How long the version before stays loaded and the new one is watched, in"
        " minutes. 30 by default: a burst of errors shows within it.",
    )
    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Answered rows without which the watch decides nothing. 1,000 by default.",
    )


class Shadow(Part):
    """Live requests are scored by the new version too, and its answers compared, never returned."""

    kind: Literal["shadow"] = Field(default="shadow", description="The strategy's name.")
    minutes: float = Field(
        default=60.0,
        gt=0.0,
        description="How long requests are mirrored, in minutes. 60 by default.",
    )
    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Mirrored rows without which nothing is decided. 1,000 by default.",
    )
    patience_minutes: float = Field(
        default=1440.0,
        gt=0.0,
        description="How long too few rows are waited for, in minutes, before a person decides."
        " A day by default.",
    )


class Canary(Part):
    """A growing share of the units goes to the new version, and every step is analysed against the
    champion's concurrent answers.
    """

    kind: Literal["canary"] = Field(default="canary", description="The strategy's name.")
    steps: tuple[Share, ...] = Field(
        default=(0.05, 0.25, 0.5),
        min_length=1,
        description="Shares of the traffic, rising, each below 1. 0.05, 0.25 and 0.5 by default.",
    )
    bake_seconds: float = Field(
        default=600.0,
        gt=0.0,
        description="Shortest time at each step, in seconds. 600 by default: caches are warm then.",
    )
    minimum_rows: int = Field(
        default=500,
        ge=1,
        description="Rows that the challenger must have answered at a step before it may pass. 500"
        " by default.",
    )
    patience_seconds: float = Field(
        default=86_400.0,
        gt=0.0,
        description="How long an undecided step waits for more requests, in seconds, before a"
        " person decides. A day by default.",
    )

    @model_validator(mode="after")
    def _rising(self) -> Canary:
        if any(not 0.0 < share < 1.0 for share in self.steps) or any(
            low >= high for low, high in pairwise(self.steps)
        ):
            raise ValueError(
                f"steps is {self.steps}; valid: shares above 0 and below 1, each larger than the"
                " one before it; the whole traffic follows the last by itself"
            )
        if self.patience_seconds < self.bake_seconds:
            raise ValueError(
                f"patience_seconds is {self.patience_seconds:g}, less than bake_seconds"
                f" {self.bake_seconds:g}: no step could pass; wait at least as long as a step bakes"
            )
        return self


class AB(Part):
    """Both versions serve fixed shares until the declared metric differs by enough to decide."""

    kind: Literal["ab"] = Field(default="ab", description="The strategy's name.")
    metric: Literal["loss", "reward"] = Field(
        default="loss",
        description="What is compared: `loss` of the matured labels (squared error of the score; of"
        " several classes the share of mistakes) or `reward`, the application's own number.",
    )
    minimum_effect: float = Field(
        default=0.0,
        ge=0.0,
        description="Improvement of the metric's mean that is worth a release, in its own unit. 0"
        " by default: any that is proved.",
    )
    share: Share = Field(
        default=0.5,
        gt=0.0,
        lt=1.0,
        description="The challenger's share of the traffic. 0.5 by default: decides soonest.",
    )
    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Rows with a matured label or reward, of each arm, without which nothing is"
        " decided. 1,000 by default.",
    )
    patience_hours: float = Field(
        default=336.0,
        gt=0.0,
        description="How long it runs before a person decides, in hours. Two weeks by default.",
    )


class Bandit(Part):
    """Thompson sampling moves traffic to the version with the larger matured reward."""

    kind: Literal["bandit"] = Field(default="bandit", description="The strategy's name.")
    floor: Share = Field(
        default=0.05,
        gt=0.0,
        lt=0.5,
        description="Least share of each version. 0.05 by default: a loser can still prove better.",
    )
    update_seconds: float = Field(
        default=3600.0,
        gt=0.0,
        description="How often the shares move, in seconds. Hourly by default.",
    )
    certainty: Share = Field(
        default=0.99,
        gt=0.5,
        lt=1.0,
        description="Posterior probability of being the better version from which on the challenger"
        " is promoted, and below whose complement it is refused. 0.99 by default.",
    )
    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Matured rewards of each version without which nothing is decided. 1,000 by"
        " default.",
    )
    patience_hours: float = Field(
        default=336.0,
        gt=0.0,
        description="How long it runs before a person decides, in hours. Two weeks by default.",
    )


Strategy = Annotated[
    Direct | BlueGreen | Shadow | Canary | AB | Bandit, Field(discriminator="kind")
]


class Analysis(Part):
    """What the challenger may cost against the champion's concurrent answers. The tests hold
    however often one looks; too few requests decide nothing.
    """

    alpha: float = Field(
        default=0.02,
        gt=0.0,
        le=0.2,
        description="Largest chance that an identical challenger is aborted, over a whole rollout"
        " and all questions together. 0.02 by default.",
    )
    max_latency_ratio: float = Field(
        default=1.0,
        ge=1.0,
        description="A row is slow beyond this multiple of the champion's 95th percentile of"
        " latency. 1 by default: the percentile itself.",
    )
    max_score_psi: float = Field(
        default=0.5,
        gt=0.0,
        description="Largest population stability index between both versions' scores. 0.5 by"
        " default: a sign or a scale that changed moves further.",
    )
    max_disagreement: Share = Field(
        default=0.2,
        description="Of a shadow: largest share of rows that both versions decide differently. 0.2"
        " by default.",
    )
    max_memory_growth: float = Field(
        default=64.0,
        gt=0.0,
        description="Largest growth of the endpoint's resident memory while the challenger serves,"
        " in 10^6 bytes per 10,000 requests. 64 by default.",
    )
    minimum_slice_rows: int = Field(
        default=200,
        ge=20,
        description="A slice is judged from this many rows of each version on. 200 by default.",
    )


class Release(Part):
    """Strategy, traffic, analysis and approval of a use case's releases."""

    strategy: Strategy = Field(
        default=Direct(),
        description="How a new version takes over the traffic. Direct by default: the endpoint"
        " swaps in one step.",
    )
    unit: tuple[str, ...] = Field(
        default=(),
        description="Entity keys or request fields whose value always meets the same version. The"
        " entity keys by default.",
    )
    salt: str = Field(
        default="",
        description="Mixed into the unit's hash: another salt assigns the units anew. The use"
        " case's name by default.",
    )
    analysis: Analysis = Field(
        default=Analysis(),
        description="What the challenger may cost at each step. See there for the defaults.",
    )
    risk_class: RiskClass = Field(
        default="minimal",
        description="What a wrong answer can do to people, in the words of the EU AI Act. Minimal"
        " by default.",
    )
    approval: Literal["none", "all", "by_risk"] = Field(
        default="by_risk",
        description="Which releases a named person must approve: none, all, or (the default) those"
        " of the risk class `high`.",
    )
    approvers: tuple[str, ...] = Field(
        default=(),
        description="Airflow's names of the people who may approve; whoever started the release may"
        " not. Empty by default, which is an error where approval is needed.",
    )
    overriders: tuple[str, ...] = Field(
        default=(),
        description="Airflow's names of the people who may go on after an analysis that decided"
        " nothing, and let a version be tried that its gates refused. Nobody by default: it is a"
        " right of its own.",
    )
    approval_hours: float = Field(
        default=72.0,
        gt=0.0,
        description="How long an approval or a decision is waited for, in hours; then the release"
        " is refused. 72 by default.",
    )

    @model_validator(mode="after")
    def _approvable(self) -> Release:
        for field in ("approvers", "overriders", "unit"):
            all_different(field, getattr(self, field))
        if self.needs_approval and not self.approvers:
            raise ValueError(
                f"approvers is empty, and approval {self.approval!r} of risk class"
                f" {self.risk_class!r} needs one; name Airflow users, or write approval='none'"
            )
        return self

    @property
    def needs_approval(self) -> bool:
        """Whether a person must approve every release."""
        if self.approval == "by_risk":
            return self.risk_class in APPROVED_RISKS
        return self.approval == "all"

    def unit_of(self, use_case: UseCase) -> tuple[str, ...]:
        """The columns of a request whose values choose the version."""
        return self.unit or use_case.serving.entity_keys

    def salt_of(self, use_case: UseCase) -> str:
        """What the unit's hash is salted with."""
        return self.salt or use_case.name


class Review(Part):
    """Who reviews single decisions that somebody contests, and which decisions a person looks at
    without being asked.
    """

    reviewers: tuple[str, ...] = Field(
        default=(),
        description="Airflow's names of the people who may uphold or overturn a decision; whoever"
        " asked for the review may not. Nobody by default: the use case then has no DAG"
        " `decision_review`.",
    )
    hours: float = Field(
        default=72.0,
        gt=0.0,
        description="How long a request for a review waits for its answer, in hours; then it ends"
        " without one. 72 by default.",
    )
    share: Share = Field(
        default=0.0,
        description="Share of the logged answers that `flightdeck decisions sample` draws at random"
        " for a person to look at. None by default.",
    )
    band: float = Field(
        default=0.0,
        ge=0.0,
        le=0.5,
        description="Scores that lie at most so far from the decision's threshold are drawn too, in"
        " probability. 0 by default: none; only a binary problem has a threshold.",
    )

    @model_validator(mode="after")
    def _different(self) -> Review:
        all_different("reviewers", self.reviewers)
        return self
