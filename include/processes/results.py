"""What the steps leave for each other, process by process: the edges of every DAG, typed.

Field names are what people see in Airflow's XCom view and what the REST API answers.
"""

from __future__ import annotations

from typing import Any

from include.data_sets.golden import GoldenRecord
from include.data_sets.snapshot import Snapshot
from include.data_sets.split import TimeSplit
from include.model.inspection import Inspection
from include.monitoring.late_labels import ReopenedWindow
from include.steps import Decision, StepResult
from include.tables.store import TableVersion
from include.verdict import Finding, GateVerdict


class DataVerdict(Decision):
    """The verdict on rows that were validated, and what it left.

    `failures` are the broken rules, `warnings` name new columns, `notes` what could not be judged
    and why, `references` what each table was compared with. `report` is a JSON file with all of it,
    `data_docs` the page for people, `quarantine` maps a refused table to where its rows lie.
    """

    failures: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    references: dict[str, list[str]]
    report: str
    data_docs: str
    quarantine: dict[str, Any]


class LandedTables(StepResult):
    """The landing table's version of every declared table."""

    tables: dict[str, TableVersion]


class PublishedTables(StepResult):
    """The version of every published table that holds the interval's rows."""

    tables: dict[str, TableVersion]


class ComputedFeatures(StepResult):
    """The version of every feature view's table, and of the statistics of its values."""

    tables: dict[str, TableVersion]
    statistics: dict[str, TableVersion]


class MaterialisedViews(StepResult):
    """How far the online store is: the moment, and per view how many rows were written and how many
    skipped for a newer one.
    """

    until: str
    views: dict[str, dict[str, int]]


class OpenRun(StepResult):
    """The MLflow run of a training, with the commit of its code and what started it."""

    mlflow_run_id: str
    experiment_id: str
    code_commit: str
    causes: tuple[dict[str, Any], ...] = ()
    taken_by: tuple[str, ...] = ()


class BuiltSnapshot(StepResult):
    """The training set, how many rows of its window had a label, and the golden set beside it."""

    snapshot: Snapshot
    counts: dict[str, int]
    golden: GoldenRecord | None


class SplitData(StepResult):
    """Where the snapshot is cut, with rows, shares and base rates of the parts."""

    boundaries: dict[str, str]
    rows: dict[str, int]
    shares: dict[str, float]
    base_rates: dict[str, float]

    @classmethod
    def of(cls, split: TimeSplit) -> SplitData:
        """From the split itself."""
        return cls(**split.as_json())


class TunedModel(StepResult):
    """What the search chose. `loss` names the loss: `logloss` (nats), of a regression `rmse` or
    `mae` in the label's unit.
    """

    parameters: dict[str, Any]
    best_trial: int
    loss: str
    validation_loss: float
    trials: tuple[dict[str, Any], ...]


class TrainedModel(StepResult):
    """The package of the final fit: its folder, digest and MLflow model."""

    package: str
    digest: str
    model_id: str
    best_iteration: int
    loss: str
    validation_loss: float


class EvaluatedModel(StepResult):
    """Metrics and baselines on the test split, and what the inspection of the package found.

    `digest` is null and the metrics are empty where the package did not load.
    """

    digest: str | None
    metrics: dict[str, float]
    baseline: dict[str, Any]
    inspection: Inspection


class CandidateVerdict(Decision):
    """What every gate found, the champion that was compared, and the digest of what was judged."""

    findings: tuple[Finding, ...]
    champion_version: int | None
    digest: str | None

    @classmethod
    def of(cls, verdict: GateVerdict, digest: str | None) -> CandidateVerdict:
        """From the gates' verdict on the package with that digest."""
        return cls(
            accepted=verdict.accepted,
            reasons=tuple(verdict.reasons),
            findings=verdict.findings,
            champion_version=verdict.champion_version,
            digest=digest,
        )

    @property
    def gates(self) -> GateVerdict:
        """The gates' verdict, decided anew from the findings."""
        return GateVerdict(findings=self.findings, champion_version=self.champion_version)


class RegisteredModel(StepResult):
    """The registered version and its digest."""

    version: int
    digest: str


class SelectedVersion(StepResult):
    """The version to deploy, and why this one. `after` is the ledger's newest row about the traffic
    then, `reconciled` what was not as the ledger says and became of it.
    """

    version: int
    digest: str
    mlflow_run_id: str
    reason: str
    after: int | None = None
    reconciled: tuple[str, ...] = ()


class PackagedModel(StepResult):
    """The package in the model store; it does not serve yet."""

    version: int
    digest: str
    folder: str
    bytes: int


class PackageVerdict(Decision):
    """The verdict on the package, check by check."""

    checks: dict[str, Any]
    version: int
    digest: str


class Release(StepResult):
    """What serves now, what served before, and the ledger's row about it. `alias_problem` says why
    MLflow's alias did not follow.
    """

    version: int
    digest: str
    previous_version: int | None
    ledger_row: int
    changed: bool
    alias_problem: str | None = None


class CheckedReleases(Decision):
    """Whether the release ledger holds and everything that follows from it is as it says: how many
    rows it has, and what was found of each thing. What was repaired is accepted and says so.
    """

    rows: int
    findings: tuple[Finding, ...]


class Partition(StepResult):
    """A slice of event time, `[start, end)`, that one task scores."""

    number: int
    start: str
    end: str
    rows: int


class ScoredPartition(StepResult):
    """The summary of a staged partition. `resumed`: an earlier attempt had staged it."""

    number: int
    rows: int
    content: str
    positive: int
    score_sum: float
    score_counts: tuple[int, ...]
    unseen: dict[str, int]
    resumed: bool = False


class ScoringPlan(StepResult):
    """Which partitions, with which model, from which versions of which tables.

    A single partition is scored by the task that plans, and is then the one summary in `scored`.
    `publications` counts those of the interval before this one.
    """

    use_case: str
    interval: dict[str, str]
    version: int
    digest: str
    sources: dict[str, int]
    partitions: tuple[Partition, ...]
    scoring: str
    mlflow_run_id: str
    rows: int
    publications: int | None = None
    scored: tuple[ScoredPartition, ...] = ()


class PublishedPredictions(StepResult):
    """What a batch scoring published: counts over all partitions, the model, the table's
    version. `positive_decisions` is None where the label is not binary.
    """

    rows: int
    positive_decisions: int | None
    mean_score: float
    version: int
    digest: str
    unseen: dict[str, int]
    partitions: int
    resumed: int
    score_psi: float
    changed: bool
    sources: dict[str, int]
    table: TableVersion


class CollectedLog(StepResult):
    """What was shipped of answers and feedback, what expired, what the endpoint's metrics were.

    `damaged_rows` were logged and lost to damage of a file before they were shipped, since ever.
    """

    shipped: int
    total: int
    offset: int
    damaged_rows: int = 0
    feedback: dict[str, Any]
    expired: dict[str, Any]
    metrics: dict[str, Any]


class JoinedLabels(StepResult):
    """How many predictions have a label, and why the others have none; `table` is null as long as
    the endpoint has answered nothing. `impossible_feedback` are the labels told so far that say
    that they were known before they can be.
    """

    batch: dict[str, int]
    online: dict[str, int]
    table: TableVersion | None
    impossible_feedback: int = 0


class DriftResult(StepResult):
    """What moved of every input and of the score, and the verdict: stable, drifted or not judged.

    `judged` is whether there were enough rows. `online` are the endpoint's questions by their PSI,
    reported only.
    """

    rows: int
    rows_of_other_versions: int
    model_version: int
    verdict: str
    judged: bool
    inputs: int
    drifted_inputs: tuple[str, ...]
    drifted_share: float | None
    limit: float
    blind_inputs: tuple[str, ...]
    score_drifted: bool
    findings: tuple[Finding, ...]
    columns: tuple[dict[str, Any], ...]
    online: dict[str, Any]
    table: TableVersion


class PerformanceResult(StepResult):
    """Metrics of the labelled predictions, and what they lost against the model's test split."""

    rows: int
    model_version: int
    batch: dict[str, float]
    baseline: dict[str, float]
    judged: bool
    minimum_rows: int
    auc_drop: float | None
    calibration_gap: float | None
    bounds: dict[str, float]
    findings: tuple[Finding, ...]
    slices: tuple[dict[str, Any], ...]
    online: dict[str, Any]
    parity: dict[str, Any]


class CheckedWindow(StepResult):
    """What the registered checks say of the window; `error` says why none could be asked."""

    rows: int
    model_version: int
    findings: tuple[Finding, ...]
    error: str | None
    table: TableVersion


class MonitoringReport(StepResult):
    """Where the report lies; `html` is null where it could not be built, and `error` says why.

    `mlflow` is where MLflow keeps it too, or why it does not.
    """

    html: str | None
    error: str | None
    left_out: dict[str, Any]
    sample_rows: dict[str, int]
    json_path: str
    mlflow: str | None = None


class AlarmDecision(StepResult):
    """Whether there is an alarm, what was found, in sentences, and the interval's facts.

    `schema_findings` are those of the check of the schema, `serving_findings` those about the
    endpoint; each raise an alarm of their own. `reopened` are windows before whose verdict late
    labels turned. `mlflow` is the run that has the metrics, or why it does not.
    """

    alarm: bool
    verdict: str
    reasons: tuple[str, ...]
    not_judged: tuple[str, ...]
    findings: tuple[Finding, ...]
    facts: dict[str, Any]
    schema_findings: tuple[Finding, ...] = ()
    serving_findings: tuple[Finding, ...] = ()
    reopened: tuple[ReopenedWindow, ...] = ()
    table: TableVersion
    mlflow: str | None = None


class SentAlarms(StepResult):
    """How many notices were sent and how many wait, and why the sinks fail that do."""

    sent: int
    waiting: int
    failing: dict[str, str]
