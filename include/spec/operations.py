"""What stops data, what counts as decay, who is told of it, and what starts a training."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from include.spec.base import Part, Share, is_recorded
from include.spec.training import Representation

AlarmKind = Literal[
    "performance",
    "drift",
    "schema",
    "serving",
    "ledger",
    "rollback",
    "held",
    "approval",
    "failed_run",
]
"""What an alarm is about (docs/alarms.md says who raises which, and what closes it)."""

Decay = Literal["drift", "performance"]
"""The kinds that a training may cure. A training on data with faults would learn the fault, so that
`schema` is none of them; the others are about runs and releases.
"""

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""The least severe first."""

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
    and several pooled) and of the champion's training data. A column has changed drastically when
    it is further than the limit from *each* of them, by effect size. Without a champion the
    published intervals alone are the reference, and the first interval of all is judged by its
    declarations only; the result says so. A reference that should exist and does not is a refusal.
    """

    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Rows with a value that both sides need to be compared. 1,000 by default: with"
        " fewer, distances are noise.",
    )
    reference_intervals: int = Field(
        default=12,
        ge=1,
        description="How many published intervals are pooled. 12 by default: a year of months.",
    )
    max_psi: float = Field(
        default=0.5,
        gt=0.0,
        description="Largest population stability index of a column. 0.5 by default: twice what is"
        " called a major shift.",
    )
    max_shift: float = Field(
        default=1.0,
        gt=0.0,
        description="Largest move of a number column's values, in its standard deviations. 1 by"
        " default: a change of unit moves further.",
    )
    max_null_change: Share = Field(
        default=0.3,
        description="Largest absolute change of a column's share of nulls. 0.3 by"
        " default: a third of a source is gone.",
    )
    max_label_change: Share = Field(
        default=0.2,
        description="Largest absolute change of the positive label's share. 0.2 by"
        " default: far above a season's.",
    )
    max_new_share: Share = Field(
        default=0.1,
        description=(
            "Largest share of values never seen before, above what the reference's own rare values"
            " make likely. 0.1 by default."
        ),
    )
    max_lost_share: Share = Field(
        default=0.02,
        description="Largest former share of a text value that is wholly absent now. 0.02 by"
        " default: one in fifty does not vanish by chance.",
    )
    max_new_mass: Share = Field(
        default=0.1,
        description=(
            "Largest share of one number that held at most 1 % of every reference's rows, above"
            " what it held. 0.1 by default, as for new texts: more than twice what a month's"
            " weather does to a temperature."
        ),
    )
    max_volume_change: float = Field(
        default=4.0,
        gt=1.0,
        description="Largest change of the rows per day, a factor either way. 4 by default: beyond"
        " weekends and holidays.",
    )
    max_repeated_keys: Share = Field(
        default=0.0,
        description="Largest share of rows whose key another interval has published. 0 by default:"
        " a key is one row.",
    )
    max_natural_repeats: Share = Field(
        default=0.0,
        description="Largest share of rows with the natural key of a row with another key. 0 by"
        " default: one thing is one row.",
    )
    sentinels: tuple[float | str, ...] = Field(
        default=SENTINELS,
        description="Values that stand for `missing` and are refused. The usual ones by default.",
    )
    min_label_share: Share = Field(
        default=0.02,
        description="Least share of the positive label in a training set. 0.02 by default: with"
        " fewer, metrics are noise.",
    )
    max_label_share: Share = Field(
        default=0.98, description="Largest share of it. 0.98 by default: the same from above."
    )
    max_single_auc: Share = Field(
        default=0.9,
        description=(
            "Largest area under the ROC curve (0 to 1) that one input alone may reach, either way"
            " round. 0.9 by default: that is the label in disguise."
        ),
    )
    minimum_leak_rows: int = Field(
        default=200, ge=20, description="Rows from which on that is judged. 200 by default."
    )
    minimum_leak_group: int = Field(
        default=20,
        ge=2,
        description="Values of a category with fewer rows are left out of it. 20 by default: their"
        " share of positives would be chance.",
    )
    max_copied_share: Share = Field(
        default=0.02,
        description=(
            "Largest share of a training set's test rows that lie in its training rows too, under"
            " other ids, beyond what chance explains. 0.02 by default."
        ),
    )
    max_snapshot_psi: float = Field(
        default=0.5,
        gt=0.0,
        description=(
            "Largest population stability index of a training set's categories, hours and weekdays"
            " against the champion's reference. 0.5 by default: far above a season's change."
        ),
    )
    max_snapshot_shift: float = Field(
        default=3.0,
        gt=0.0,
        description=(
            "Largest move of its numbers, in spans between the champion's lowest and highest"
            " decile. 3 by default: far above a season's change, far below a change of unit."
        ),
    )
    representation: tuple[Representation, ...] = Field(
        default=(),
        description=(
            "Groups of which a training set must hold enough. Empty by default: which groups"
            " matter is the use case's to say."
        ),
    )

    @model_validator(mode="after")
    def _shares_in_order(self, info: ValidationInfo) -> DataChecks:
        if not is_recorded(info) and self.min_label_share > self.max_label_share:
            raise ValueError(
                f"min_label_share is {self.min_label_share:g}, above max_label_share"
                f" {self.max_label_share:g}; no training set could pass"
            )
        return self


class ServingLimits(Part):
    """What the endpoint's own numbers of an interval may be. A limit that is None is not judged."""

    max_error_share: Share = Field(
        default=0.01,
        description="Largest share of requests that fail by the endpoint's own fault (5xx). 0.01 by"
        " default: a caller that tries once more is answered.",
    )
    max_p99_milliseconds: float | None = Field(
        default=1000.0,
        gt=0.0,
        description="Largest 99th percentile of the time to an answer, in milliseconds. 1,000 by"
        " default: whoever waits longer has gone.",
    )
    max_memory_megabytes: float | None = Field(
        default=None,
        gt=0.0,
        description="Most resident memory of all processes of the endpoint, in 10^6 bytes. None by"
        " default: the machine's is not known here.",
    )
    max_processors: float | None = Field(
        default=None,
        gt=0.0,
        description="Most processor time in a second, in processors, on average over the interval."
        " None by default: the machine's are not known here.",
    )
    max_throughput_drop: Share | None = Field(
        default=None,
        description="Largest fall of the rows a second below the median of the intervals before, as"
        " a share. None by default: traffic has its own seasons.",
    )
    max_cost_per_thousand: float | None = Field(
        default=None,
        gt=0.0,
        description="Most that a thousand answered rows may cost, in the currency of the prices"
        " (`FLIGHTDECK_PRICES_FILE`). None by default: prices are the environment's.",
    )
    minimum_requests: int = Field(
        default=1000,
        ge=1,
        description="Errors and latency of fewer requests are not judged. 1,000 by default: a"
        " hundredth of them is ten.",
    )


def effect_of_psi(psi: float) -> float:
    """The Hellinger distance of a shift with that population stability index, both being squares
    of the same small difference: the root of an eighth of it, at most 1.
    """
    return round(min(1.0, math.sqrt(max(float(psi), 0.0) / 8.0)), 3)


class Monitoring(Part):
    """When serving counts as decayed, against the champion's own training data and test split."""

    drift_effect: float = Field(
        default=0.18,
        gt=0.0,
        le=1.0,
        description=(
            "Hellinger distance (0 to 1) from which on an input that has surely moved counts as"
            " drifted. 0.18 by default, which is a PSI of 0.25, the usual limit of a major shift: a"
            " normal variable moved by half of its standard deviation."
        ),
    )
    drifted_share: Share = Field(
        default=0.3,
        description="Share of the model's inputs above which the population drifts. 0.3 by default:"
        " single inputs move with the season.",
    )
    max_auc_drop: Share = Field(
        default=0.05,
        description="Of a binary problem: largest fall of the AUC (0 to 1) below the test split's."
        " 0.05 by default.",
    )
    max_calibration_gap: Share = Field(
        default=0.05,
        description=(
            "Largest distance between mean score and observed rate (of a multiclass problem between"
            " the predicted classes' mean probability and accuracy), in probability. 0.05 by"
            " default."
        ),
    )
    max_accuracy_drop: Share = Field(
        default=0.05,
        description="Of a multiclass problem: largest fall of the accuracy. 0.05 by default.",
    )
    max_loss_increase: float = Field(
        default=0.25,
        ge=0.0,
        description="Of a regression: largest increase of its loss, as a share of its test loss."
        " 0.25 by default: a quarter more error.",
    )
    max_bias: float = Field(
        default=0.25,
        ge=0.0,
        description="Of a regression: largest absolute mean error, in standard deviations of the"
        " test labels. 0.25 by default.",
    )
    minimum_rows: int = Field(
        default=1000,
        ge=1,
        description="Nothing is judged on fewer rows. 1,000 by default: with fewer, an AUC falls"
        " by chance.",
    )
    false_alarms: float = Field(
        default=0.01,
        gt=0.0,
        le=0.1,
        description=(
            "Share of the reports on performance that chance alone may alarm. 0.01 by default"
            " (`make bench-monitoring`); at most 0.1, which keeps the alarm outside of the 95 %"
            " interval that people are shown."
        ),
    )
    false_discovery: float = Field(
        default=0.02,
        gt=0.0,
        le=0.1,
        description=(
            "Level of Benjamini and Yekutieli's correction over all inputs of a check. 0.02 by"
            " default: below one false alarm in a hundred reports (`make bench-monitoring`)."
        ),
    )
    minimum_effect: float = Field(
        default=0.02,
        ge=0.0,
        le=1.0,
        description=(
            "Least Hellinger distance (0 to 1) that counts, however sure it is. 0.02 by default: a"
            " shift of a normal variable by a seventeenth of its standard deviation."
        ),
    )
    sliding_windows: int = Field(
        default=3,
        ge=1,
        description="Windows up to this one that are judged together too. 3 by default: a small"
        " change shows in their sum.",
    )
    persistent_windows: int = Field(
        default=1,
        ge=1,
        description="How many of the last `sliding_windows` must show a change of an input. 1 by"
        " default: the correction alone keeps false alarms rare.",
    )
    late_windows: int = Field(
        default=3,
        ge=0,
        description=(
            "How many windows before are judged again on performance, by the labels that have come"
            " since. 3 by default; 0: none, a verdict stays."
        ),
    )
    block: timedelta | None = Field(
        default=timedelta(days=1),
        gt=timedelta(0),
        description=(
            "Rows whose event times lie in the same block share a cause (a day's weather) and"
            " count together, for drift and for how sure performance is. A day by default; None"
            " where rows are independent."
        ),
    )
    seasonal_lag: timedelta | None = Field(
        default=None,
        gt=timedelta(0),
        description=(
            "How long ago the same season was, such as 364 days: what moves as it did then is no"
            " change. None by default: the training data is the only reference."
        ),
    )
    max_schema_share: Share = Field(
        default=0.01,
        description=(
            "Share of rows with unseen categories or numbers far outside of the training's range,"
            " above which the schema is another one. 0.01 by default."
        ),
    )
    max_null_change: Share = Field(
        default=0.1,
        description="Largest rise of an input's share of nulls above the training's. 0.1 by"
        " default.",
    )
    max_attribution_change: Share = Field(
        default=0.05,
        description=(
            "Largest change of an input's share of all contributions to the score, and of its"
            " signed part of them. 0.05 by default: a twentieth of what makes the scores."
        ),
    )
    serving: ServingLimits = Field(
        default=ServingLimits(),
        description="Limits of the endpoint's errors, latency, memory, processors and throughput.",
    )
    alarm_on: tuple[Decay, ...] = Field(
        default=("performance",),
        description=(
            "Which findings raise an alarm. Only performance by default: drift that costs nothing"
            " is reported and starts nothing."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _measured_by_effect(cls, values: Any) -> Any:
        if isinstance(values, dict) and "feature_psi" in values:
            limit = values["feature_psi"]
            same = f"={effect_of_psi(limit):g}" if isinstance(limit, int | float) else ""
            raise ValueError(
                f"feature_psi is {limit!r}; an input drifts by the corrected check, whose limit is"
                f" a Hellinger distance: write drift_effect{same} (the root of PSI / 8)"
            )
        return values

    @model_validator(mode="after")
    def _windows_in_order(self, info: ValidationInfo) -> Monitoring:
        if is_recorded(info):
            return self
        if self.persistent_windows > self.sliding_windows:
            raise ValueError(
                f"persistent_windows is {self.persistent_windows}, above sliding_windows"
                f" {self.sliding_windows}; no change could ever show in so many"
            )
        if self.drift_effect < self.minimum_effect:
            raise ValueError(
                f"drift_effect is {self.drift_effect:g}, below minimum_effect"
                f" {self.minimum_effect:g}; what has not moved cannot drift"
            )
        return self


class BatchScoring(Part):
    """How an interval is cut for scoring, and what its output must look like before it is
    published.

    A partition holds whole minutes of event time; it is what one task scores, and what a worker
    holds in memory.
    """

    partition_rows: int = Field(
        default=250_000,
        ge=1,
        description="Largest number of rows of a partition (more only if one minute has more)."
        " 250,000 by default: a task holds them in memory.",
    )
    max_score_psi: float = Field(
        default=2.0,
        gt=0.0,
        description=(
            "Largest population stability index of the scores from those of the model's training. 2"
            " by default: far above what a season moves, far below what a model does that has lost"
            " its inputs."
        ),
    )
    minimum_rows: int = Field(
        default=1000, ge=1, description="Rows from which on that is judged. 1,000 by default."
    )


class Target(Part):
    """The machines that the model is meant for."""

    python: str = Field(
        default="",
        pattern=r"^(3\.[0-9]+)?$",
        description="Python's version, such as 3.12. Empty by default: that of the machine that"
        " checks the package.",
    )
    machine: str = Field(
        default="",
        description="The architecture, such as aarch64. Empty by default: that of the machine that"
        " checks the package.",
    )
    memory_megabytes: float = Field(
        default=1024.0,
        gt=0.0,
        description=(
            "Resident memory, in 10^6 bytes, that a process may take which loads the package and"
            " scores 1,000 rows. 1,024 by default: the smallest container that serves."
        ),
    )


class Alarms(Part):
    """Who hears of the use case's alarms, and how often.

    Where a sink leads (an e-mail server, a chat, a webhook) is said by `FLIGHTDECK_ALARM_SINKS`,
    per environment.
    """

    sinks: tuple[str, ...] | None = Field(
        default=None,
        description="Names of the sinks that its alarms are sent to. None by default: every sink.",
    )
    cool_down: timedelta = Field(
        default=timedelta(days=1),
        ge=timedelta(0),
        description="Time after a notice in which the same alarm sends no other but that it is"
        " closed. A day by default: whoever was told has to be able to act first.",
    )
    recorded_only: tuple[AlarmKind, ...] = Field(
        default=(),
        description="Kinds of alarms that are recorded and sent to nobody. Empty by default.",
    )


class Triggers(Part):
    """What starts a training by itself, beside the schedule. All distances are measured in data
    time, between interval ends.

    New data: enough labels became known since the last training's window ended; without an earlier
    training this trigger stays silent. An alarm on faulty data starts nothing: inputs that are
    missing, features that are not complete, or a drift that could not be judged. Nor does an alarm
    while a training runs: its model has to be seen first.
    """

    retrain_on: tuple[Decay, ...] = Field(
        default=("drift", "performance"),
        description=(
            "Kinds of alarms that start a training. All that a training may cure by default, of"
            " those that `monitoring.alarm_on` raises."
        ),
    )
    new_rows: int = Field(
        default=1000,
        ge=1,
        description="Least number of new labels. 1,000 by default: a training's own minimum.",
    )
    new_share: float = Field(
        default=0.5,
        gt=0.0,
        description="Least number of new labels as a share of the last training's rows. 0.5 by"
        " default: half as many again.",
    )
    alarm_cool_down: timedelta = Field(
        default=timedelta(days=7),
        ge=timedelta(0),
        description="Time after an alarm that started a training in which no other does. A week by"
        " default: its model has to be seen first.",
    )
    alarms_per_day: int = Field(
        default=1,
        ge=1,
        description="Trainings that alarms may start on one UTC day. 1 by default.",
    )
    fault_missing_share: Share = Field(
        default=0.3,
        description=(
            "By how much an input's share of missing (or unseen) values must lie above the training"
            " data's for its alarm to count as a fault. 0.3 by default: a source is broken."
        ),
    )
