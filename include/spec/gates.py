"""What a candidate must meet before it may be registered, whatever kind of problem it solves."""

from __future__ import annotations

from pydantic import Field

from include.spec.base import Part, Share
from include.spec.expectations import Direction, FairnessGroups, Invariance


class Gates(Part):
    """Thresholds that a candidate must meet. Every gate is on; a metric that is missing is a
    refusal.

    Absolute limits on metrics belong to the kind of problem and are declared there (`problem`).
    Losses are log losses in nats; of a regression they are a share of the test labels' variance
    (squared loss) or mean absolute deviation (absolute loss), so that one limit fits any unit.
    """

    min_baseline_skill: float = Field(
        default=0.0,
        description=(
            "The bootstrap rule of a use case's first model: least relative improvement over the"
            " prior, 1 - Brier / prior's Brier (a regression's loss). 0 by default: not worse than"
            " knowing nothing."
        ),
    )
    min_slice_brier_skill: float = Field(
        default=-0.05,
        le=1.0,
        description=(
            "Least skill in a slice, 1 - Brier / (r (1 - r)) with the slice's own observed rate r"
            " (of a multiclass problem over the classes, of a regression its R2); a share. A little"
            " below 0 by default: r is known only afterwards."
        ),
    )
    max_slice_calibration_excess: Share = Field(
        default=0.1,
        description=(
            "Largest expected calibration error of a slice above what perfect probabilities would"
            " show on as many rows, in probability. 0.1 by default: a tenth off is a visible lie."
        ),
    )
    min_champion_improvement: float = Field(
        default=0.0,
        ge=0.0,
        description=(
            "Least amount by which the candidate's loss is below the champion's, both scored now on"
            " the candidate's test rows; nats, or a regression's share. 0 by default: any sure"
            " improvement counts."
        ),
    )
    champion_confidence: Share = Field(
        default=0.9,
        description=(
            "Least share of the paired bootstrap in which the improvement exceeds"
            " `min_champion_improvement`, so that an equal model is refused even at 0. 0.9 by"
            " default: one mistaken promotion in ten looks is borne by canary and rollback."
        ),
    )
    max_slice_auc_drop: float = Field(
        default=0.05,
        ge=0.0,
        description=(
            "Largest AUC (0 to 1) that a slice of a binary problem may lose against the champion"
            " where it is surely worse. 0.05 by default: less is hardly noticed by a user."
        ),
    )
    max_slice_loss_increase: float = Field(
        default=0.02,
        ge=0.0,
        description=(
            "Largest increase of a slice's loss against the champion where it is surely worse;"
            " nats, or a regression's share. 0.02 by default: less is hardly noticed by a user."
        ),
    )
    slice_confidence: Share = Field(
        default=0.95,
        description=(
            "From which share of the bootstrap on a slice is surely worse, all slices together"
            " (Bonferroni). 0.95 by default, the usual level."
        ),
    )
    max_package_megabytes: float = Field(
        default=50.0,
        gt=0.0,
        description="Largest package, in 10^6 bytes. 50 by default: every process of the endpoint"
        " loads it.",
    )
    max_latency_p50_ms: float = Field(
        default=10.0,
        gt=0.0,
        description=(
            "Largest median processor time for one row on the serving code path, in a fresh"
            " process with one thread; milliseconds. 10 by default: the look-up of features should"
            " dominate. Processor time, so that a busy machine refuses no model."
        ),
    )
    max_latency_p99_ms: float = Field(
        default=250.0,
        gt=0.0,
        description=(
            "Largest 99 % quantile of the same; milliseconds. 250 by default: wide, because the"
            " interpreter's own pauses (collecting garbage, faulting pages in) are in it."
        ),
    )
    max_batch_ms: float = Field(
        default=250.0,
        gt=0.0,
        description=(
            "Largest processor time for 1,000 rows at once on the same path; milliseconds. 250 by"
            " default: 4,000 rows a second and thread."
        ),
    )
    max_simple_model_deficit: float = Field(
        default=0.0,
        ge=0.0,
        description=(
            "Largest loss above that of a logistic (ridge) regression on the same matrix; nats, or"
            " a regression's share. Refused is what is surely more: the lower end of the paired"
            " difference's 95 % interval, for few rows cannot tell two equal models apart. 0 by"
            " default: a model worse than the simple one is not worth its trouble. Prior and last"
            " value must always be beaten."
        ),
    )
    min_golden_gain: float = Field(
        default=0.0,
        description=(
            "Least amount by which the loss on the golden set is below the prior's; negative: so"
            " much above it at most. Nats, or a regression's share. 0 by default: the old rows must"
            " not be forgotten."
        ),
    )
    fairness: tuple[FairnessGroups, ...] = Field(
        default=(),
        description=(
            "Groups between which decisions may not differ too much, each with its limits. Empty by"
            " default: which groups matter is the use case's to say."
        ),
    )
    perturbation: float = Field(
        default=0.01,
        gt=0.0,
        description=(
            "Size of the noise on the inputs, as a share of each input's span in training; of an"
            " input of whole numbers to the nearest whole one. 0.01 by default: the size of an"
            " error of measurement."
        ),
    )
    max_perturbation_mean: float = Field(
        default=0.03,
        ge=0.0,
        description=(
            "Largest mean absolute change of the score under that noise, in probability (of a"
            " regression in standard deviations of the labels). 0.03 by default: three times the"
            " noise."
        ),
    )
    max_perturbation_p99: float = Field(
        default=0.25,
        ge=0.0,
        description=(
            "Largest 99 % quantile of that change, in the same unit. 0.25 by default: trees jump at"
            " their borders, but not across the whole range."
        ),
    )
    max_missing_change: float = Field(
        default=0.25,
        ge=0.0,
        description=(
            "Largest mean absolute change of the score when one input is missing everywhere (of a"
            " regression in standard deviations of the labels, so that it may be above 1). 0.25 by"
            " default: no single source may turn the answers over."
        ),
    )
    invariances: tuple[Invariance, ...] = Field(
        default=(),
        description="Inputs that hardly matter, each with its limit. Empty by default: only the"
        " use case knows them.",
    )
    directions: tuple[Direction, ...] = Field(
        default=(),
        description="What more of an input does to the score. Empty by default: only the use case"
        " knows them.",
    )
    max_attribution_share: Share = Field(
        default=0.5,
        description=(
            "Largest share of the mean absolute TreeSHAP contributions that one input may have. 0.5"
            " by default: an input that outweighs all others is a leak or a single point of"
            " failure."
        ),
    )
    forbidden_inputs: tuple[str, ...] = Field(
        default=(),
        description="Inputs that are recorded and must not matter, by name. Empty by default.",
    )
    max_forbidden_share: Share = Field(
        default=0.01,
        description=(
            "Largest share of the contributions that a forbidden input may have. 0.01 by default:"
            " what chance splits give a useless input."
        ),
    )

    @property
    def changes_of_scores(self) -> dict[str, float]:
        """Limits on how far a score may move, by where they are declared: in probability, of a
        regression in standard deviations of the labels, of which a change may be several.
        """
        names = ("max_perturbation_mean", "max_perturbation_p99", "max_missing_change")
        limits = {f"gates.{name}": float(getattr(self, name)) for name in names}
        for invariance in self.invariances:
            inputs = "+".join(invariance.inputs)
            limits[f"gates.invariances of {inputs!r}: max_change"] = invariance.max_change
        for direction in self.directions:
            limits[f"gates.directions of {direction.input!r}: tolerance"] = direction.tolerance
        return limits
