"""What stops data, what counts as decay, what starts a training, and when the processes run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, model_validator

from include.spec.base import Part, Share

SENTINELS = (
    -999.0,
    -9999.0,
    -99999.0,
    99999.0,
    999999.0,
    "",
    "NA",
    "N/A",
    "NaN",
    "NULL",
    "null",
    "None",
    "?",
    "-999",
)


class DataChecks(Part):
    """What stops data beyond the declarations of its columns; every rule is on.

    A delivery is compared with the statistics of the intervals published before it (the last one,
    and the last `reference_intervals` pooled) and of the champion's training data. A column has
    changed drastically when it is further than the limit from *each* of them, by effect size:
    `max_psi` (population stability index) or `max_shift` (standard deviations that the values
    moved), judged from `minimum_rows` rows with a value on both sides. The same holds for the share
    of nulls (`max_null_change`, absolute), of the positive label (`max_label_change`, absolute), of
    values never seen before (`max_new_share`, above the share that the reference's own rare values
    make likely), of a text value that is wholly absent now (`max_lost_share`, its share before) and
    for the rows per day (`max_volume_change`, a factor either way). `max_repeated_keys` is the
    largest share of rows whose key another interval has published. Without a champion the published
    intervals alone are the reference, and the first interval of all is judged by its declarations
    only; the result says so. A reference that should exist and does not is a refusal.

    `sentinels` are values that stand for "missing". `min_label_share` and `max_label_share` bound
    the positive label's share; `max_single_auc` is the largest area under the ROC curve that one
    input alone may reach (label leakage), either way round, judged from `minimum_leak_rows` rows,
    leaving out values with fewer than `minimum_leak_group` rows. Against the champion's reference a
    training set's categories, hours and weekdays may be `max_snapshot_psi` away, its numbers
    `max_snapshot_shift` spans between the champion's lowest and highest decile (far above a
    season's change, far below a change of unit).
    """

    minimum_rows: int = Field(default=1000, ge=1)
    reference_intervals: int = Field(default=12, ge=1)
    max_psi: float = Field(default=0.5, gt=0.0)
    max_shift: float = Field(default=1.0, gt=0.0)
    max_null_change: Share = 0.3
    max_label_change: Share = 0.2
    max_new_share: Share = 0.1
    max_lost_share: Share = 0.02
    max_volume_change: float = Field(default=4.0, gt=1.0)
    max_repeated_keys: Share = 0.0
    sentinels: tuple[float | str, ...] = SENTINELS
    min_label_share: Share = 0.02
    max_label_share: Share = 0.98
    max_single_auc: Share = 0.9
    minimum_leak_rows: int = Field(default=200, ge=20)
    minimum_leak_group: int = Field(default=20, ge=2)
    max_snapshot_psi: float = Field(default=0.5, gt=0.0)
    max_snapshot_shift: float = Field(default=3.0, gt=0.0)


class Monitoring(Part):
    """When serving counts as decayed.

    A feature drifts when its PSI (population stability index) against the champion's training data
    exceeds `feature_psi`; the population drifts when more than `drifted_share` of the model's
    inputs do. Performance decays when AUC falls by more than `max_auc_drop` below the champion's
    own test AUC, or the mean score misses the observed rate by more than `max_calibration_gap`; a
    multiclass problem's where accuracy falls by more than `max_accuracy_drop`, or the predicted
    classes' mean probability misses the accuracy by more than `max_calibration_gap`; a regression's
    where its loss exceeds its own test loss by more than the share `max_loss_increase`, or its mean
    error exceeds `max_bias` standard deviations of the test labels. Nothing is judged on fewer than
    `minimum_rows` rows. `alarm_on` lists which findings start training.
    """

    feature_psi: float = Field(default=0.25, gt=0.0)
    drifted_share: Share = 0.3
    max_auc_drop: Share = 0.05
    max_calibration_gap: Share = 0.05
    max_accuracy_drop: Share = 0.05
    max_loss_increase: float = Field(default=0.25, ge=0.0)
    max_bias: float = Field(default=0.25, ge=0.0)
    minimum_rows: int = Field(default=1000, ge=1)
    alarm_on: tuple[Literal["drift", "performance"], ...] = ("performance",)


class BatchScoring(Part):
    """How an interval is cut for scoring, and what its output must look like before it is
    published.

    A partition holds whole minutes of event time and at most `partition_rows` rows (more only if
    one minute does): it is what one task scores, and what a worker holds in memory. From
    `minimum_rows` rows on, the distribution of the scores may lie at most `max_score_psi`
    (population stability index) from that of the model's training: far above what a season moves,
    far below what a model does that has lost its inputs.
    """

    partition_rows: int = Field(default=250_000, ge=1)
    max_score_psi: float = Field(default=2.0, gt=0.0)
    minimum_rows: int = Field(default=1000, ge=1)


class Target(Part):
    """The machines that the model is meant for: `python` such as 3.12 and `machine` such as aarch64
    (empty: those that check it).

    A process that loads the package and scores 1,000 rows may take `memory_megabytes` of resident
    memory.
    """

    python: str = Field(default="", pattern=r"^(3\.[0-9]+)?$")
    machine: str = ""
    memory_megabytes: float = Field(default=1024.0, gt=0.0)


class Triggers(Part):
    """What starts a training by itself, beside the schedule. All distances are measured in data
    time, between interval ends.

    New data: at least `new_rows` labels became known since the last training's window ended, and
    they are at least `new_share` of the rows of that training (0.5 = half as many again). Without
    an earlier training this trigger stays silent. Alarm: none within `alarm_cool_down` of the last
    alarm that started a training, at most `alarms_per_day` on one UTC day. An alarm on faulty data
    starts nothing: an input whose share of missing (or unseen) values lies `fault_missing_share`
    above the training data's, features that are not complete, or a drift that could not be judged.
    """

    new_rows: int = Field(default=1000, ge=1)
    new_share: float = Field(default=0.5, gt=0.0)
    alarm_cool_down: timedelta = Field(default=timedelta(days=7), ge=timedelta(0))
    alarms_per_day: int = Field(default=1, ge=1)
    fault_missing_share: Share = 0.3


class Schedule(Part):
    """When the processes run. Cron strings; `training_cron` None means on alarm, on new data and by
    hand only.

    `start` and `end` bound the data that exists: no run is scheduled outside them.
    """

    start: datetime
    end: datetime | None = None
    features_cron: str = "@daily"
    batch_scoring_cron: str = "@daily"
    monitoring_cron: str = "@daily"
    training_cron: str | None = None

    @model_validator(mode="after")
    def _timezone_aware(self) -> Schedule:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None and value.tzinfo is None:
                raise ValueError(f"{name} has no time zone; write datetime(..., tzinfo=UTC)")
        return self
