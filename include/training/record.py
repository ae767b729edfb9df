"""The record of one training: everything that the final fit needs to be done again, in one JSON
file of the MLflow run.

Its SHA-256 is a tag of the run and of the registered version, so a record that was edited
afterwards is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from include.data_sets.snapshot import Snapshot
from include.model.package import SnapshotRecord, TrainingInterval
from include.spec import UseCase
from include.spec.base import RECORDED
from include.steps import StepContext
from include.training.estimator import Device, device_of
from include.training.provenance import Environment, environment, lock_digest
from include.training.tracking import log_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORD_FILE = "record.json"
RECORD_TAG = "flightdeck.record_digest"
LOCK_TAG = "flightdeck.lock_digest"


class TrainingRecord(BaseModel):
    """One training. `parameters` are those of the final fit, `device` is where it ran, `boundaries`
    the moments that cut the snapshot, `lock_digest` the SHA-256 of requirements.txt.
    `specification` is the use case as it was declared then; it holds seed, rounds and inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    specification: UseCase
    run_id: str
    process: str
    interval: TrainingInterval
    snapshot: SnapshotRecord
    boundaries: dict[str, str]
    parameters: dict[str, Any]
    threads: int
    device: Device = "cpu"
    code_commit: str
    lock_digest: str
    environment: Environment

    @classmethod
    def read(cls, text: str) -> TrainingRecord:
        """The record in a run's `RECORD_FILE`, whatever would be refused of a new declaration.

        Raises `ValidationError`.
        """
        return cls.model_validate_json(text, context=RECORDED)

    @property
    def seed(self) -> int:
        """The seed of the fit."""
        return self.specification.training.seed


def record_of(
    context: StepContext,
    *,
    snapshot: Snapshot,
    boundaries: Mapping[str, str],
    parameters: Mapping[str, Any],
    code_commit: str,
) -> TrainingRecord:
    """The record of a run: which data, cut where, fitted with which parameters by which code."""
    return TrainingRecord(
        specification=context.use_case,
        run_id=context.run.run_id,
        process=context.run.process,
        interval=TrainingInterval(start=context.interval.start, end=context.interval.end),
        snapshot=snapshot_record(snapshot),
        boundaries=dict(boundaries),
        parameters=dict(parameters),
        threads=context.settings.training_threads,
        device=device_of(context.use_case, context.settings),
        code_commit=code_commit,
        lock_digest=lock_digest(),
        environment=environment(),
    )


def snapshot_record(snapshot: Snapshot) -> SnapshotRecord:
    """What the record and the package's metadata keep of a snapshot."""
    return SnapshotRecord(**{name: getattr(snapshot, name) for name in SnapshotRecord.model_fields})


def record_digest(text: str) -> str:
    """SHA-256 of the record's text as it is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def log_record(client: MlflowClient, mlflow_run_id: str, record: TrainingRecord) -> None:
    """Write the record to the run, and its digest and that of the lock file as tags."""
    text = record.model_dump_json(indent=1)
    client.log_text(mlflow_run_id, text, RECORD_FILE)
    log_tags(client, mlflow_run_id, {RECORD_TAG: record_digest(text), LOCK_TAG: record.lock_digest})
