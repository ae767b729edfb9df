"""Reads what is on record of a version: MLflow's run, the ledger, the tables of monitoring, alarms,
deployed bundles, runs of the tests, git.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import ValidationError

from include.alarms.outbox import sink_states
from include.alarms.store import AlarmStore
from include.bundles.deployments import Deployments
from include.errors import RegistryError
from include.experiments.runs import Training, trainings
from include.ml_test_score.commits import review_of
from include.ml_test_score.junit import read_junit
from include.ml_test_score.records import Pipeline, Records, Row, Sent
from include.monitoring.overview.series import read_series
from include.registry.client import connect
from include.registry.run_files import read_json, read_text
from include.release.ledger import Ledger
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.training.record import RECORD_FILE, TrainingRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

MILLISECONDS = 1000.0
FINDINGS = ("check", "rule", "observed", "limit", "outcome")


def read_records(settings: Settings, use_case: UseCase, number: int) -> Records:
    """All that is on record of version `number`.

    Raises `RegistryError` where there is no such version, or where its training left no record.
    """
    versions = sorted(
        (item for item in trainings(settings, [use_case.name]) if item.version is not None),
        key=lambda item: item.version or 0,
    )
    training = next((item for item in versions if item.version == number), None)
    if training is None:
        there = ", ".join(str(item.version) for item in versions) or "none"
        raise RegistryError(f"{use_case.name} has no version {number}; registered are: {there}.")
    former = tuple(item for item in versions if (item.version or 0) < number)
    client, tables = connect(settings), TableStore(settings.tables_uri)
    specification = _specification(client, training)
    rows = _rows(tables, f"{use_case.name}/monitoring", number)
    return Records(
        use_case=specification,
        version=number,
        training=training,
        former=former,
        former_inputs=_inputs(client, former[-1:]),
        review=review_of(training.commit),
        gates=_table(client, training, "gates.json"),
        trials=_table(client, training, "trials.json"),
        attributions=_table(client, training, "attributions.json"),
        explained=len(_table(client, training, "attribution_rows.json")),
        validation=read_json(client, training.mlflow_run_id, "validation/validation.json"),
        ledger=tuple(Ledger(settings).rows(use_case.name)),
        windows=read_series(use_case, tables).windows,
        findings=_findings(tables, use_case.name, number),
        parity=tuple(
            row["parity_max_difference"] for row in rows if row["parity_max_difference"] is not None
        ),
        alarms=tuple(AlarmStore(settings).alarms(use_case=use_case.name)),
        sent=tuple(Sent(state.name, state.sent) for state in sink_states(settings)),
        reproduced=_reproduced(settings, use_case.name),
        pipelines=_pipelines(settings, use_case.name, training.commit),
        junit=read_junit(settings),
        seconds=_seconds(client, (*former, training)),
    )


def _specification(client: MlflowClient, training: Training) -> UseCase:
    text = read_text(client, training.mlflow_run_id, RECORD_FILE)
    if text is None:
        raise RegistryError(
            f"The run {training.mlflow_run_id} of {training.name} has no {RECORD_FILE}: what it was"
            " trained by is not known. Restore the run's files from a backup."
        )
    try:
        return TrainingRecord.read(text).specification
    except ValidationError as error:
        raise RegistryError(
            f"{RECORD_FILE} of run {training.mlflow_run_id} ({training.name}) cannot be read:"
            f" {error.errors()[0]['msg']}"
        ) from error


def _inputs(client: MlflowClient, runs: Sequence[Training]) -> dict[int, frozenset[str]]:
    return {
        training.version or 0: frozenset(
            item.name for item in _specification(client, training).inputs
        )
        for training in runs
    }


def _table(client: MlflowClient, training: Training, file: str) -> tuple[Row, ...]:
    """The rows of a table artefact; none where the run has no such file."""
    content = read_json(client, training.mlflow_run_id, file)
    if not isinstance(content, Mapping):
        return ()
    return tuple(dict(zip(content["columns"], row, strict=True)) for row in content["data"])


def _rows(tables: TableStore, name: str, number: int) -> list[dict[str, Any]]:
    if not tables.exists(name):
        return []
    return tables.read(name, where=pl.col("model_version") == number).to_dicts()


def _findings(tables: TableStore, use_case: str, number: int) -> tuple[Row, ...]:
    return tuple(
        {name: row[name] for name in FINDINGS}
        for row in _rows(tables, f"{use_case}/findings", number)
    )


def _reproduced(settings: Settings, use_case: str) -> dict[int, str]:
    """The outcome of each report that `flightdeck reproduce` wrote."""
    outcomes: dict[int, str] = {}
    for path in (settings.home / "reproduce").glob(f"{use_case}-*.json"):
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["model"] == use_case:
            outcomes[int(report["version"])] = str(report["outcome"])
    return outcomes


def _pipelines(settings: Settings, use_case: str, commit: str) -> tuple[Pipeline, ...]:
    return tuple(
        Pipeline(row.version, row.environment, row.recorded_at)
        for row in Deployments(settings).rows()
        if row.event == "deployed" and row.code_commit == commit
        if use_case in _tried(row.evidence)
    )


def _tried(evidence: Mapping[str, Any]) -> set[str]:
    """The use cases that were run end to end: here, or in the environment that accepted before."""
    here = {str(trial["use_case"]) for trial in evidence.get("trials", ())}
    return here | set(evidence.get("accepted", {}).get("tried", ()))


def _seconds(client: MlflowClient, runs: Sequence[Training]) -> dict[int, float]:
    """How long each run took, of those that have ended."""
    infos = {item.version or 0: client.get_run(item.mlflow_run_id).info for item in runs}
    return {
        version: (info.end_time - info.start_time) / MILLISECONDS
        for version, info in infos.items()
        if info.end_time is not None
    }
