"""What a use case declares: one frozen `UseCase` per `include/use_cases/<name>/spec.py`.

Cheap to import (pydantic only): DAG files read it at parse time. Contradictions fail here, at construction, with the
field's name and what to use instead; nothing downstream has to check them again.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from include.errors import SpecError
from include.settings import load_settings
from include.spec_base import Part, Share
from include.spec_expectations import Direction, FairnessGroups, Invariance
from include.spec_overlay import overlaid

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp"]
SENTINELS = (-999.0, -9999.0, -99999.0, 99999.0, 999999.0, "", "NA", "N/A", "NaN", "NULL", "null", "None", "?", "-999")
NAME_PATTERN = re.compile(r"^[a-z][a-z0-9_]{2,62}$")


class Column(Part):
    """One column of a table and what a valid value is.

    `max_null_share` is the largest share of nulls (0 to 1). `minimum` and `maximum` are inclusive and in the column's unit.
    `categories` is the closed set of values; `unseen_share` of the rows may hold others. `sentinels`, `max_psi`, `max_shift` and
    `max_new_share` replace the use case's `DataChecks` for this column (a season moves the temperature more than a fault does).
    """

    name: str
    type: ColumnType
    max_null_share: Share = 0.0
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    unseen_share: Share = 0.0
    sentinels: tuple[float | str, ...] | None = None
    max_psi: float | None = Field(default=None, gt=0.0)
    max_shift: float | None = Field(default=None, gt=0.0)
    max_new_share: Share | None = None
    description: str = ""


class Table(Part):
    """One table that the use case ingests.

    `time_column` says when a row became known: windows of ingestion and every cut-off are cut along it. `None` marks a
    static table, which is replaced as a whole. `key` identifies a row; `minimum_rows` is per ingested window.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    time_column: str | None
    minimum_rows: int = 1
    description: str = ""

    @model_validator(mode="after")
    def _columns_exist(self) -> Table:
        names = {column.name for column in self.columns}
        for name in (*self.key, *([self.time_column] if self.time_column else [])):
            if name not in names:
                raise ValueError(f"table {self.name!r}: {name!r} is in key or time_column but not in columns ({sorted(names)})")
        return self


class FeatureTable(Part):
    """One table of feature values, computed from the source tables and named like its Feast feature view.

    `timestamp` is the moment at which a row's values were known. `None` in `windowed` marks a static table.
    """

    view: str
    table: str
    timestamp: str = "event_timestamp"
    windowed: bool = True


class Input(Part):
    """One column of the model's matrix: where its value comes from and how it is turned into a number.

    `source` is `<feature view>:<feature>` for a value from the feature store, `<entity or request field>` otherwise.
    `kind`: `number` (as is), `category` (code of the value; unknown is missing), `local_hour` and `local_weekday`
    (of a timestamp, in `timezone`; weekday 0 is Monday), `hours_between` (from the event time to the timestamp).
    `monotone`: 1 where the prediction may only rise with the value, -1 where it may only fall, 0 where either may happen.
    """

    name: str
    source: str
    kind: Literal["number", "category", "local_hour", "local_weekday", "hours_between"] = "number"
    timezone: str = "UTC"
    monotone: Literal[-1, 0, 1] = 0
    description: str = ""

    @model_validator(mode="after")
    def _only_numbers_are_monotone(self) -> Input:
        if self.monotone and self.kind == "category":
            raise ValueError(f"input {self.name!r}: a category has no order, so monotone must be 0")
        return self

    @property
    def view(self) -> str | None:
        """The feature view that the value comes from, or `None` for an entity key or a request field."""
        return self.source.split(":")[0] if ":" in self.source else None


class RequestField(Part):
    """A value that the caller sends beside the entity keys."""

    name: str
    type: ColumnType
    description: str = ""


class Serving(Part):
    """The online interface: what a caller sends, and from which probability on the decision is positive."""

    entity_keys: tuple[str, ...]
    request_fields: tuple[RequestField, ...] = ()
    decision_threshold: Share = 0.5
    max_rows: int = Field(default=100, ge=1)


class Label(Part):
    """The ground truth: a table of its own, filled after the fact.

    Rows of `table` carry `id_column`, `column` (0 or 1) and `time_column`, the moment the label became known.
    """

    table: str
    column: str
    time_column: str
    description: str


class Training(Part):
    """Window, split and estimator of one training.

    The window ends at the run's data interval end and is `window_days` long. The split is in time:
    the first `train_share` of the rows train, the next `validation_share` stop early and tune, the rest test.
    `parameters` and `search_space` are XGBoost's (`search_space`: name -> (low, high); both integers means an integer).
    `group_by` names an entity key or request field whose rows must not straddle splits: a group goes where its newest row goes.
    `class_weights` weigh the rows of label 0 and 1 in the fit (never in a metric).
    The search ends after `trials` trials or `tuning_seconds` of fitting, restarts included. From the third finished trial on, a
    trial that is worse than their median is pruned, not before round `prune_after_rounds`.
    """

    window_days: int = Field(ge=1)
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
    class_weights: tuple[PositiveFloat, PositiveFloat] | None = None
    seed: int = 20130101

    @model_validator(mode="after")
    def _test_rows_remain(self) -> Training:
        if self.train_share + self.validation_share >= 1.0:
            raise ValueError("train_share + validation_share must be below 1: the remainder is the test split")
        return self


class Slice(Part):
    """A partition of the rows on which every metric is computed as well: one slice per value of `column`.

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
    """Labelled rows that are set aside once and never trained on: every candidate of every window is measured on the same ones.

    At most `rows` of the labelled rows with an event time before `until`, and at most `max_share` of those.
    """

    until: datetime
    rows: int = Field(default=2000, ge=1)
    max_share: Share = 0.1

    @model_validator(mode="after")
    def _timezone_aware(self) -> Golden:
        if self.until.tzinfo is None:
            raise ValueError("until has no time zone; write datetime(..., tzinfo=UTC)")
        return self


class Gates(Part):
    """Thresholds that a candidate must meet. Every gate is on; a metric that is missing is a refusal.

    Absolute limits hold on the test split. Per slice, `min_slice_brier_skill` bounds 1 - Brier / (r (1 - r)) with the slice's own
    observed rate r, and `max_slice_calibration_excess` its expected calibration error above what perfect probabilities would show on
    as many rows.
    Against the champion, both are scored now on the candidate's own test rows: the candidate's log loss must be lower by
    at least `min_champion_improvement` (nats), and by more than that in a share `champion_confidence` of the paired bootstrap, so that
    an equal model is refused even at 0. A slice refuses whose AUC falls by more than `max_slice_auc_drop`, or whose log loss rises by
    more than `max_slice_loss_increase` (nats), if that it is worse at all has the confidence `slice_confidence`, all slices together.
    Without a champion the candidate must beat the base rate's Brier score by `min_baseline_skill` (relative), the
    bootstrap rule of a use case's first model.
    The package: at most `max_package_megabytes` (10^6 bytes); on the serving code path, in a fresh process with one thread, a row
    takes at most `max_latency_p50_ms` (median) and `max_latency_p99_ms`, 1,000 rows at most `max_batch_ms` (milliseconds).
    Baselines, by log loss on the test split (nats): lower than the prior's and the last value's, and at most
    `max_simple_model_deficit` above that of a logistic regression on the same matrix. On the golden set the log loss is at least
    `min_golden_gain` below the prior's (negative: so much above it at most).
    `fairness`: the groups between which decisions may not differ too much, each with its limits.
    Sensitivity, as mean absolute change of the probability on test rows: `perturbation` is the noise's size, as a share of an input's
    span in training; `max_perturbation_mean` and `max_perturbation_p99` (99 % quantile) bound what it changes, `max_missing_change`
    what one input missing everywhere changes. `invariances` and `directions` are declared expectations.
    Attribution, by mean absolute TreeSHAP contribution: `max_attribution_share` for any input, `max_forbidden_share` for each of
    `forbidden_inputs` (inputs that are recorded and must not matter).
    """

    min_auc: Share
    max_brier: Share
    max_calibration_error: Share
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


class Monitoring(Part):
    """When serving counts as decayed.

    A feature drifts when its PSI (population stability index) against the champion's training data exceeds
    `feature_psi`; the population drifts when more than `drifted_share` of the model's inputs do. Performance decays when
    AUC falls by more than `max_auc_drop` below the champion's own test AUC, or the mean score misses the observed rate by
    more than `max_calibration_gap`. Nothing is judged on fewer than `minimum_rows` rows.
    `alarm_on` lists which findings start training.
    """

    feature_psi: float = Field(default=0.25, gt=0.0)
    drifted_share: Share = 0.3
    max_auc_drop: Share = 0.05
    max_calibration_gap: Share = 0.05
    minimum_rows: int = Field(default=1000, ge=1)
    alarm_on: tuple[Literal["drift", "performance"], ...] = ("performance",)


class Triggers(Part):
    """What starts a training by itself, beside the schedule. All distances are measured in data time, between interval ends.

    New data: at least `new_rows` labels became known since the last training's window ended, and they are at least `new_share` of
    the rows of that training (0.5 = half as many again). Without an earlier training this trigger stays silent.
    Alarm: none within `alarm_cool_down` of the last alarm that started a training, at most `alarms_per_day` on one UTC day. An
    alarm on faulty data starts nothing: an input whose share of missing (or unseen) values lies `fault_missing_share` above the
    training data's, features that are not complete, or a drift that could not be judged.
    """

    new_rows: int = Field(default=1000, ge=1)
    new_share: float = Field(default=0.5, gt=0.0)
    alarm_cool_down: timedelta = Field(default=timedelta(days=7), ge=timedelta(0))
    alarms_per_day: int = Field(default=1, ge=1)
    fault_missing_share: Share = 0.3


class DataChecks(Part):
    """What stops data beyond the declarations of its columns; every rule is on.

    A delivery is compared with the statistics of the intervals published before it (the last one, and the last
    `reference_intervals` pooled) and of the champion's training data. A column has changed drastically when it is further than the
    limit from *each* of them, by effect size: `max_psi` (population stability index) or `max_shift` (standard deviations that the
    values moved), judged from `minimum_rows` rows with a value on both sides. The same holds for the share of nulls
    (`max_null_change`, absolute), of the positive label (`max_label_change`, absolute), of values never seen before
    (`max_new_share`, above the share that the reference's own rare values make likely) and the rows per day (`max_volume_change`,
    a factor either way). `max_repeated_keys` is the largest share of rows whose key another interval has published. Without a champion
    the published intervals alone are the reference, and the first interval of all is judged by its declarations only; the result says
    so. A reference that should exist and does not is a refusal.

    `sentinels` are values that stand for "missing". `min_label_share` and `max_label_share` bound the positive label's share;
    `max_single_auc` is the largest area under the ROC curve that one input alone may reach (label leakage), either way round, judged
    from `minimum_leak_rows` rows, leaving out values with fewer than `minimum_leak_group` rows. Against the champion's reference a
    training set's categories, hours and weekdays may be `max_snapshot_psi` away, its numbers `max_snapshot_shift` spans between the
    champion's lowest and highest decile (far above a season's change, far below a change of unit).
    """

    minimum_rows: int = Field(default=1000, ge=1)
    reference_intervals: int = Field(default=12, ge=1)
    max_psi: float = Field(default=0.5, gt=0.0)
    max_shift: float = Field(default=1.0, gt=0.0)
    max_null_change: Share = 0.3
    max_label_change: Share = 0.2
    max_new_share: Share = 0.1
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


class Schedule(Part):
    """When the processes run. Cron strings; `training_cron` None means on alarm, on new data and by hand only.

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


class UseCase(Part):
    """Everything that Flightdeck knows about one use case."""

    name: str
    title: str
    owner: str = Field(description="Who answers for the model: an e-mail address.")
    task: str = Field(description="What is predicted, for whom, when.")
    business_impact: str
    metric: str = Field(description="The metric that decides, and why this one.")
    data: str = Field(description="Source, licence, and what is left out.")
    tags: tuple[str, ...] = ()
    id_column: str = Field(description="Identifies one prediction target, e.g. one flight.")
    event_time: str = Field(description="Column with the moment at which the question is asked.")
    entity_table: str = Field(description="Table with one row per target: its id, event time, keys and request fields.")
    tables: tuple[Table, ...]
    feature_tables: tuple[FeatureTable, ...]
    feature_service: str
    inputs: tuple[Input, ...]
    serving: Serving
    label: Label
    training: Training
    slices: tuple[Slice, ...] = ()
    golden: Golden | None = None
    baseline_input: str | None = Field(default=None, description="The number input that, as it is, predicts: the latest known rate.")
    gates: Gates
    monitoring: Monitoring = Monitoring()
    data_checks: DataChecks = DataChecks()
    triggers: Triggers = Triggers()
    schedule: Schedule

    @model_validator(mode="after")
    def _consistent(self) -> UseCase:
        if not NAME_PATTERN.match(self.name):
            raise ValueError(f"name {self.name!r} must match {NAME_PATTERN.pattern}")
        self._check_tables()
        self._check_inputs()
        return self

    def _check_tables(self) -> None:
        tables = {table.name: table for table in self.tables}
        for field, name in (("entity_table", self.entity_table), ("label.table", self.label.table)):
            if name not in tables:
                raise ValueError(f"{field} is {name!r}, which is not among tables {sorted(tables)}")
        entity_columns = {column.name for column in tables[self.entity_table].columns}
        request_fields = [field.name for field in self.serving.request_fields]
        for name in (self.id_column, self.event_time, *self.serving.entity_keys, *request_fields):
            if name not in entity_columns:
                raise ValueError(f"{name!r} is no column of the entity table {self.entity_table!r} ({sorted(entity_columns)})")
        label_columns = {column.name for column in tables[self.label.table].columns}
        for name in (self.id_column, self.label.column, self.label.time_column):
            if name not in label_columns:
                raise ValueError(f"{name!r} is no column of the label table {self.label.table!r} ({sorted(label_columns)})")

    def _check_inputs(self) -> None:
        views = {feature_table.view for feature_table in self.feature_tables}
        given = {*self.serving.entity_keys, *(field.name for field in self.serving.request_fields)}
        names = [item.name for item in self.inputs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"inputs are declared twice: {repeated}")
        for item in self.inputs:
            if item.view is not None and item.view not in views:
                raise ValueError(f"input {item.name!r}: view {item.view!r} is not among feature_tables {sorted(views)}")
            if item.view is None and item.source not in given:
                raise ValueError(
                    f"input {item.name!r}: source {item.source!r} is neither an entity key nor a request field {sorted(given)}"
                )
        self._check_columns({*names, *given}, given)

    def _check_columns(self, columns: set[str], given: set[str]) -> None:
        if self.training.group_by is not None and self.training.group_by not in given:
            raise ValueError(f"training.group_by is {self.training.group_by!r}; valid: an entity key or request field {sorted(given)}")
        for column in (name for part in self.slices for name in (part.column, part.crossed_with or part.column)):
            if column not in columns:
                raise ValueError(f"slice column {column!r} is neither an input nor an entity key {sorted(columns)}")
        numbers = {item.name for item in self.inputs if item.kind == "number"}
        self._check_expectations({item.name for item in self.inputs}, numbers, columns)
        if self.baseline_input is not None and self.baseline_input not in numbers:
            raise ValueError(f"baseline_input {self.baseline_input!r} is no input of kind number {sorted(numbers)}")

    def _check_expectations(self, inputs: set[str], numbers: set[str], columns: set[str]) -> None:
        gates = self.gates
        invariant = [name for declared in gates.invariances for name in declared.inputs]
        wanted = (
            ("gates.invariances", invariant, inputs),
            ("gates.forbidden_inputs", gates.forbidden_inputs, inputs),
            ("gates.directions", [declared.input for declared in gates.directions], numbers),
            ("gates.fairness", [declared.column for declared in gates.fairness], columns),
        )
        for field, names, valid in wanted:
            for name in names:
                if name not in valid:
                    raise ValueError(f"{field} names {name!r}; valid: {sorted(valid)}")

    def dag_id(self, process: str) -> str:
        """`<use_case>__<process>`, the id of the DAG of one process."""
        return f"{self.name}__{process}"

    def table(self, name: str) -> Table:
        """The declared table of that name; `SpecError` lists the declared ones otherwise."""
        for table in self.tables:
            if table.name == name:
                return table
        raise SpecError(f"{self.name}: no table {name!r}; declared: {[table.name for table in self.tables]}.")

    @property
    def feature_references(self) -> tuple[str, ...]:
        """`<view>:<feature>` of every input that comes from the feature store, in the inputs' order."""
        return tuple(item.source for item in self.inputs if item.view is not None)


def load_use_case(name: str) -> UseCase:
    """Import `include/use_cases/<name>/spec.py` and return its `USE_CASE`, under the environment's overlay where it has one.

    `SpecError` says what is missing.
    """
    if not NAME_PATTERN.match(name):
        raise SpecError(f"use case {name!r}: a name must match {NAME_PATTERN.pattern}.")
    try:
        module = import_module(f"include.use_cases.{name}.spec")
    except ModuleNotFoundError as error:
        raise SpecError(f"use case {name!r}: there is no include/use_cases/{name}/spec.py.") from error
    use_case = getattr(module, "USE_CASE", None)
    if not isinstance(use_case, UseCase) or use_case.name != name:
        raise SpecError(f"include/use_cases/{name}/spec.py must define USE_CASE, a UseCase named {name!r}.")
    overlay = load_settings().spec_overlay
    return use_case if overlay is None else overlaid(use_case, overlay)
