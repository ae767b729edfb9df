"""Train a registered version again from its record, and say whether the same model comes out or
what is missing.

What is read: the version and its MLflow run, the record that the run kept, the package, and the
snapshot's Delta table at its version. The fit runs in a process of its own that is given the record
and the tables, and no registry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import ValidationError

from include.data_sets.snapshot import read
from include.data_sets.split import cut
from include.data_sets.stored_splits import StoredSplits
from include.errors import DataError, RegistryError
from include.interval import Interval
from include.model.package import (
    ScoringModel,
    golden_columns,
    load_model,
    package_digest,
    package_files,
)
from include.registry.client import connect, readable_artifact
from include.registry.versions import RegisteredVersion, download, version
from include.settings import Settings
from include.spec import ScikitLearn, UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import UNREADABLE
from include.training.estimator import cuda_devices
from include.training.package import recorded_parameters, train_package
from include.training.provenance import DIRTY, code_commit, environment, lock_digest
from include.training.record import RECORD_FILE, RECORD_TAG, TrainingRecord, record_digest

SAMPLE_ROWS = 1000
TOLERANCE = 0.001
Outcome = Literal["identical", "within tolerance", "different", "not possible"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as recorded.

    Nothing can be trained again while a `blocking` one stands.
    """

    what: str
    recorded: str
    found: str
    advice: str
    blocking: bool = False


@dataclass(frozen=True)
class Recorded:
    """A version with its record and its package folder."""

    version: RegisteredVersion
    record: TrainingRecord
    package: Path


@dataclass(frozen=True)
class Comparison:
    """The new package against the registered one. Differences are the largest absolute ones between
    scores; `unit` is what a tolerance is multiplied with: 1, of a regression the labels' standard
    deviation.
    """

    digest: str
    files: dict[str, bool]
    golden_rows: int
    golden_difference: float
    sample_rows: int
    sample_difference: float
    unit: float = 1.0


@dataclass
class Report:
    """What `make reproduce` prints and writes."""

    model: str
    version: int
    outcome: Outcome
    registered_digest: str = ""
    findings: list[Finding] = field(default_factory=list)
    comparison: Comparison | None = None
    tolerance: float = TOLERANCE

    @property
    def proven(self) -> bool:
        """Whether the same model came out."""
        return self.outcome in ("identical", "within tolerance")

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**asdict(self), "proven": self.proven}


class NotReproducible(RegistryError):
    """Something that the training needs is gone or is not what was recorded;

    `finding` says what.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(
            f"{finding.what}: recorded {finding.recorded}, found {finding.found}. {finding.advice}"
        )
        self.finding = finding


def load(settings: Settings, use_case: UseCase, number: int, folder: Path) -> Recorded:
    """Version, record and package (fetched below `folder`).

    Raises `NotReproducible` with the first thing that is missing.
    """
    from mlflow.exceptions import MlflowException

    try:
        registered = version(settings, use_case, number)
    except RegistryError as error:
        raise _missing(
            "version",
            f"{use_case.name} version {number}",
            str(error),
            "List the versions in MLflow.",
        ) from error
    try:
        run = connect(settings).get_run(registered.run_id)
    except MlflowException as error:
        advice = (
            "Restore it from a backup of MLflow's database; MLflow keeps deleted runs until `mlflow"
            " gc`."
        )
        raise _missing("MLflow run", registered.run_id, str(error), advice) from error
    if run.info.lifecycle_stage != "active":
        raise _missing(
            "MLflow run",
            registered.run_id,
            "deleted",
            f"Restore it: mlflow runs restore --run-id {registered.run_id}",
        )
    record = _record(
        settings, registered, str(run.info.artifact_uri), run.data.tags.get(RECORD_TAG), folder
    )
    try:
        package = download(registered, folder / "registered")
    except RegistryError as error:
        raise _missing(
            "model package", registered.digest, str(error), "Restore the artefact from a backup."
        ) from error
    _agree(record, load_model(package), run.data.params)
    return Recorded(registered, record, package)


def snapshot_rows(record: TrainingRecord, settings: Settings) -> pl.DataFrame:
    """The training set at its version, its digest checked.

    Raises `NotReproducible` when it is gone or was changed.
    """
    snapshot = record.snapshot
    reference = f"{snapshot.name} version {snapshot.version}, digest {snapshot.digest[:16]}"
    try:
        return read(record.specification, settings, snapshot)
    except RegistryError as error:
        advice = "The table's files were changed after the training; restore them from a backup."
        raise _missing("snapshot", reference, str(error), advice) from error
    except (DataError, *UNREADABLE) as error:
        # Polars panics on a Parquet file that is shorter than the table's log says.
        advice = (
            "The version was vacuumed, its files were damaged or the table was deleted; restore"
            f" {settings.tables_uri}/{snapshot.name} from a backup."
        )
        raise _missing(
            "snapshot", reference, f"{type(error).__name__}: {error}".splitlines()[0], advice
        ) from error


def differences(record: TrainingRecord, settings: Settings) -> list[Finding]:
    """How this checkout, environment and machine differ from the record: what may, but need not,
    change the model.
    """
    listed: list[Finding] = []
    commit = code_commit()
    if record.code_commit.endswith(DIRTY):
        advice = (
            "Uncommitted changes are not recorded: commit before a training that must be"
            " repeatable."
        )
        listed.append(Finding("code commit", record.code_commit, commit, advice))
    elif commit != record.code_commit:
        worktree = f"../flightdeck-{record.code_commit[:8]}"
        advice = (
            f"The trained code: git worktree add {worktree} {record.code_commit}; "
            f"then there: FLIGHTDECK_HOME={settings.home} make reproduce MODEL=... VERSION=..."
        )
        listed.append(Finding("code commit", record.code_commit, commit, advice))
    lock = lock_digest()
    listed += _device_differences(record)
    if lock != record.lock_digest:
        advice = (
            "The trained environment's lock: git show"
            f" {record.code_commit.removesuffix(DIRTY)}:requirements.txt"
        )
        listed.append(Finding("lock digest", record.lock_digest, lock, advice))
    here, then = environment(), record.environment
    for name in sorted({*here.libraries, *then.libraries}):
        if here.libraries.get(name) != then.libraries.get(name):
            advice = (
                f"pip install {name}=={then.libraries.get(name)} in the environment of the recorded"
                " lock file."
            )
            listed.append(
                Finding(
                    f"library {name}",
                    str(then.libraries.get(name)),
                    str(here.libraries.get(name)),
                    advice,
                )
            )
    for name in ("python", "machine", "processor"):
        if getattr(here, name) != getattr(then, name):
            advice = f"Scores are compared within {TOLERANCE} where bytes differ."
            listed.append(Finding(name, getattr(then, name), getattr(here, name), advice))
    return listed


def _device_differences(record: TrainingRecord) -> list[Finding]:
    if record.device == "cpu" or cuda_devices() > 0:
        return []
    advice = "Repeat it on a machine with a GPU: a fit on the CPU grows other trees."
    return [Finding("device", record.device, "no GPU that the driver shows", advice, blocking=True)]


def retrain(record: TrainingRecord, settings: Settings) -> tuple[Path, str]:
    """Fit again from the record, below `settings.home`; returns the new package's folder and
    digest.

    `settings` name the tables; threads, seed, parameters and boundaries come from the record.
    """
    threads = settings.model_copy(
        update={"training_threads": record.threads, "training_device": record.device}
    )
    interval = Interval(record.interval.start, record.interval.end)
    context = StepContext(
        record.specification, threads, interval, RunInfo(record.process, record.run_id)
    )
    splits: Mapping[str, pl.DataFrame] = cut(
        record.specification, snapshot_rows(record, settings), record.boundaries
    )
    if record.specification.training.fit_in != "memory":
        # The rows were read for their digest; the fit is repeated the way it was made.
        splits = StoredSplits.of(
            record.specification, settings.tables_uri, record.snapshot, record.boundaries
        )
    folder, digest, _ = train_package(
        context, splits, record.parameters, record.snapshot.model_dump(), record.code_commit
    )
    return folder, digest


def compare(recorded: Recorded, folder: Path, settings: Settings) -> Comparison:
    """File by file, then the scores of the golden rows and of an even sample of the test split."""
    old, new = (
        load_model(recorded.package, expected_digest=recorded.version.digest),
        load_model(folder),
    )
    test = cut(
        recorded.record.specification,
        snapshot_rows(recorded.record, settings),
        recorded.record.boundaries,
    )["test"]
    chosen = np.unique(np.linspace(0, test.height - 1, SAMPLE_ROWS).round().astype(int))
    sample = test[chosen.tolist()]
    return Comparison(
        digest=package_digest(folder),
        files={
            name: (recorded.package / name).read_bytes() == (folder / name).read_bytes()
            for name in package_files(recorded.package)
        },
        golden_rows=len(old.golden["rows"]),
        golden_difference=_golden_difference(old, new),
        sample_rows=sample.height,
        sample_difference=float(np.abs(old.score_frame(sample) - new.score_frame(sample)).max()),
        unit=old.metadata.label_spread or 1.0,
    )


def judge(
    comparison: Comparison,
    registered_digest: str,
    findings: Sequence[Finding],
    *,
    stated: float | None = None,
) -> Outcome:
    """`identical` by digest. Where code, libraries or machine differ: `within tolerance` by scores.
    Else `different`.

    `stated` is the tolerance that the estimator itself declares
    (`ScikitLearn.reproduce_tolerance`): within it the scores are the same whatever differs, because
    not every library gives the same bytes twice.
    """
    if comparison.digest == registered_digest:
        return "identical"
    largest = max(comparison.golden_difference, comparison.sample_difference)
    if stated is not None and largest <= stated:
        return "within tolerance"
    explained = any(not finding.blocking for finding in findings)
    return (
        "within tolerance" if explained and largest <= TOLERANCE * comparison.unit else "different"
    )


def stated_tolerance(record: TrainingRecord) -> float | None:
    """What the estimator's declaration says of repetitions, in probability or in the label's unit;

    `None` for XGBoost: its bytes repeat, unless workers of a cluster added up in an order of their
    own.
    """
    training = record.specification.training
    estimator = training.estimator
    if training.fit_in == "dask":
        return TOLERANCE
    return estimator.reproduce_tolerance if isinstance(estimator, ScikitLearn) else None


def _record(
    settings: Settings,
    registered: RegisteredVersion,
    artifacts: str,
    digest: str | None,
    folder: Path,
) -> TrainingRecord:
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    uri = readable_artifact(f"{artifacts.rstrip('/')}/{RECORD_FILE}", settings.mlflow_tracking_uri)
    place = f"{RECORD_FILE} of MLflow run {registered.run_id}"
    try:
        path = mlflow.artifacts.download_artifacts(
            artifact_uri=uri, dst_path=str(folder), tracking_uri=settings.mlflow_tracking_uri
        )
        text = Path(path).read_text()
    except (MlflowException, OSError) as error:
        advice = "Trainings before records were kept have none; train anew."
        raise _missing("training record", place, str(error).splitlines()[0], advice) from error
    expected = registered.tags.get(RECORD_TAG.removeprefix("flightdeck."), digest)
    if expected != record_digest(text):
        advice = "The record was changed after the training; restore the artefact from a backup."
        raise _missing(
            "training record", f"digest {expected}", f"digest {record_digest(text)}", advice
        )
    try:
        return TrainingRecord.read(text)
    except ValidationError as error:
        detail = "; ".join(
            f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()[:3]
        )
        commit = json.loads(text).get("code_commit", "unknown")
        raise _missing(
            "training record",
            place,
            f"does not fit this code: {detail}",
            f"Check out the trained code: {commit}.",
        ) from error


def _agree(record: TrainingRecord, model: ScoringModel, params: Mapping[str, str]) -> None:
    """The record, the package's metadata and MLflow's parameters tell of the same training."""
    metadata = model.metadata
    fit = recorded_parameters(record.specification, record.parameters, record.threads)
    pairs: dict[str, tuple[Any, Any]] = {
        "seed": (record.seed, metadata.seed),
        "parameters": (fit, metadata.parameters),
        "snapshot": (record.snapshot, metadata.snapshot),
        "run id": (record.run_id, metadata.run_id),
        "interval": (record.interval, metadata.interval),
        "code commit": (record.code_commit, metadata.code_commit),
        "seed of the MLflow run": (str(record.seed), params.get("seed")),
        **{
            f"boundary {name}": (moment, params.get(f"split.{name}"))
            for name, moment in record.boundaries.items()
        },
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            advice = (
                "Record, package and run contradict each other: one was changed afterwards. Restore"
                " it from a backup."
            )
            raise _missing(name, str(ours), str(theirs), advice)


def _golden_difference(old: ScoringModel, new: ScoringModel) -> float:
    scores = new.score(golden_columns(old.transform, old.golden["rows"]))
    return float(np.abs(scores - np.asarray(old.golden["scores"])).max())


def _missing(what: str, recorded: str, found: str, advice: str) -> NotReproducible:
    return NotReproducible(Finding(what, recorded, found, advice, blocking=True))
