"""What a candidate must meet before it may be registered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from include.spec.base import Part, Share
from include.spec.expectations import Direction, FairnessGroups, Invariance


class Gates(Part):
    """Thresholds that a candidate must meet. Every gate is on; a metric that is missing is a
    refusal.

    Absolute limits hold on the test split; which ones a problem needs is checked at construction
    (docs/estimators.md): AUC, Brier score and calibration error of a binary one; macro AUC, Brier
    score, calibration error of the predicted class, log loss and accuracy of a multiclass one;
    RMSE, MAE, R2, absolute mean error (`max_bias`) and the largest absolute mean error of a tenth
    of the rows, by prediction (`max_decile_error`), of a regression, in the label's unit. Losses
    are log losses (nats); of a regression `loss` says which, as a share of the test labels'
    variance (squared) or mean absolute deviation (absolute), so that the limits below fit any unit.
    `max_slice_bias` bounds a regression's mean error in a slice, in standard deviations of the test
    labels. Per slice, `min_slice_brier_skill` bounds 1 - Brier / (r (1 - r)) with the slice's own
    observed rate r (in a regression its R2, in a multiclass problem the same over the classes), and
    `max_slice_calibration_excess` its expected calibration error above what perfect probabilities
    would show on as many rows. Against the champion, both are scored now on the candidate's own
    test rows: the candidate's log loss must be lower by at least `min_champion_improvement` (nats),
    and by more than that in a share `champion_confidence` of the paired bootstrap, so that an equal
    model is refused even at 0. A slice refuses whose AUC falls by more than `max_slice_auc_drop`,
    or whose log loss rises by more than `max_slice_loss_increase` (nats), if that it is worse at
    all has the confidence `slice_confidence`, all slices together. Without a champion the candidate
    must beat the base rate's Brier score by `min_baseline_skill` (relative), the bootstrap rule of
    a use case's first model. The package: at most `max_package_megabytes` (10^6 bytes); on the
    serving code path, in a fresh process with one thread, a row takes at most `max_latency_p50_ms`
    (median) and `max_latency_p99_ms`, 1,000 rows at most `max_batch_ms` (milliseconds). Baselines,
    by log loss on the test split (nats): lower than the prior's and the last value's, and at most
    `max_simple_model_deficit` above that of a logistic regression on the same matrix. On the golden
    set the log loss is at least `min_golden_gain` below the prior's (negative: so much above it at
    most). `fairness`: the groups between which decisions may not differ too much, each with its
    limits. Sensitivity, as mean absolute change of the probability on test rows: `perturbation` is
    the noise's size, as a share of an input's span in training; `max_perturbation_mean` and
    `max_perturbation_p99` (99 % quantile) bound what it changes, `max_missing_change` what one
    input missing everywhere changes. `invariances` and `directions` are declared expectations.
    Attribution, by mean absolute TreeSHAP contribution: `max_attribution_share` for any input,
    `max_forbidden_share` for each of `forbidden_inputs` (inputs that are recorded and must not
    matter).
    """

    min_auc: Share | None = None
    max_brier: float | None = Field(default=None, ge=0.0, le=2.0)
    max_calibration_error: Share | None = None
    max_logloss: float | None = Field(default=None, gt=0.0)
    min_accuracy: Share | None = None
    max_rmse: float | None = Field(default=None, gt=0.0)
    max_mae: float | None = Field(default=None, gt=0.0)
    min_r2: float | None = Field(default=None, le=1.0)
    max_bias: float | None = Field(default=None, ge=0.0)
    max_decile_error: float | None = Field(default=None, ge=0.0)
    loss: Literal["squared", "absolute"] = "squared"
    max_slice_bias: float = Field(default=0.25, ge=0.0)
    min_baseline_skill: float = 0.0
    min_slice_brier_skill: float = Field(default=-0.05, le=1.0)
    max_slice_calibration_excess: Share = 0.1
    min_champion_improvement: float = Field(default=0.0, ge=0.0)
    champion_confidence: Share = 0.9
    max_slice_auc_drop: float = Field(default=0.05, ge=0.0)
    max_slice_loss_increase: float = Field(default=0.02, ge=0.0)
    slice_confidence: Share = 0.95
    max_package_megabytes: float = Field(default=50.0, gt=0.0)
    max_latency_p50_ms: float = Field(default=10.0, gt=0.0)
    max_latency_p99_ms: float = Field(default=250.0, gt=0.0)
    max_batch_ms: float = Field(default=250.0, gt=0.0)
    max_simple_model_deficit: float = Field(default=0.0, ge=0.0)
    min_golden_gain: float = 0.0
    fairness: tuple[FairnessGroups, ...] = ()
    perturbation: float = Field(default=0.01, gt=0.0)
    max_perturbation_mean: Share = 0.03
    max_perturbation_p99: Share = 0.25
    max_missing_change: Share = 0.25
    invariances: tuple[Invariance, ...] = ()
    directions: tuple[Direction, ...] = ()
    max_attribution_share: Share = 0.5
    forbidden_inputs: tuple[str, ...] = ()
    max_forbidden_share: Share = 0.01
