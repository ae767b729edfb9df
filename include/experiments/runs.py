"""The trainings of all use cases as one kind of record: what MLflow keeps of a run, our ledger's
row, and what people wrote beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from include.errors import RegistryError
from include.governance.annotations import Annotation, current
from include.registry.client import connect
from include.settings import Settings
from include.started_by import sentences_of_tags
from include.tables.store import TableStore

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 500
OURS = "flightdeck."
UNDECIDED = "undecided"
NO_TRIALS = "tags.`flightdeck.process` LIKE '%'"
"""Trials are child runs, which have no such tag."""


@dataclass(frozen=True)
class Training:
    """One training run.

    `decision` is accepted, refused, failed or undecided; `metrics` are MLflow's (`test.auc`,
    `golden.brier`, ...).
    """

    use_case: str
    run_id: str
    mlflow_run_id: str
    decision: str
    status: str
    version: int | None
    started: datetime
    interval_start: str
    interval_end: str
    kinds: tuple[str, ...]
    by: str
    snapshot: str
    snapshot_digest: str
    commit: str
    reasons: tuple[str, ...]
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    annotations: tuple[Annotation, ...] = field(default=(), compare=False)

    @property
    def started_by(self) -> tuple[str, ...]:
        """Why it was trained, a sentence a cause."""
        return sentences_of_tags(self.tags)

    @property
    def name(self) -> str:
        """`<use case>/<version>`, or the beginning of the MLflow run's id."""
        return (
            f"{self.use_case}/{self.version}"
            if self.version is not None
            else self.mlflow_run_id[:12]
        )

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        plain = {
            **self.__dict__,
            "started": self.started.isoformat(),
            "kinds": list(self.kinds),
            "started_by": list(self.started_by),
            "reasons": list(self.reasons),
        }
        return {**plain, "annotations": [remark.as_json() for remark in self.annotations]}


def experiment_names(client: MlflowClient) -> list[str]:
    """The use cases that have been trained, by name."""
    experiments = client.search_experiments(max_results=1000)
    return sorted(
        str(experiment.name) for experiment in experiments if experiment.experiment_id != "0"
    )


def trainings(settings: Settings, use_cases: Sequence[str] = ()) -> list[Training]:
    """The trainings (of some use cases), newest interval first; refused ones, failed ones and those
    still running among them.

    Raises `RegistryError` for a use case that has no run, with those that have.
    """
    client = connect(settings)
    trained = experiment_names(client)
    unknown = [name for name in use_cases if name not in trained]
    if unknown:
        raise RegistryError(
            f"Nothing has been trained for {unknown}; there are runs of"
            f" {trained or 'no use case yet'}."
        )
    tables, remarks = TableStore(settings.tables_uri), _remarks(settings)
    results = []
    for name in use_cases or trained:
        experiment = client.get_experiment_by_name(name)
        ledger = _ledger(tables, name)
        results += [
            _training(name, run, ledger, remarks) for run in _runs(client, experiment.experiment_id)
        ]
    return sorted(results, key=lambda one: (one.interval_end, one.started), reverse=True)


def find_training(settings: Settings, name: str) -> Training:
    """One training by `<model>/<version>`, by the beginning of its MLflow run id (6 characters or
    more), or by its DAG run's id.

    Raises `RegistryError` with what is near when there is none, or when there are several.
    """
    every = trainings(settings)
    matches = [
        training
        for training in every
        if name in (training.name, training.run_id)
        or (len(name) >= 6 and training.mlflow_run_id.startswith(name))
    ]
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(training.name for training in (matches or every)[:12])
    problem = f"{name!r} means several trainings" if matches else f"There is no training {name!r}"
    raise RegistryError(
        f"{problem}; write <model>/<version> or the beginning of an MLflow run id."
        f" {'These' if matches else 'There'} are: {names}."
    )


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            NO_TRIALS,
            max_results=PAGE,
            page_token=token,
            order_by=["attributes.start_time DESC"],
        )
        yield from page
        token = page.token
        if not token:
            return


def _training(
    use_case: str,
    run: Run,
    ledger: Mapping[str, Mapping[str, Any]],
    remarks: Mapping[str, tuple[Annotation, ...]],
) -> Training:
    tags, run_id = dict(run.data.tags), run.data.tags.get(f"{OURS}run_id", "")
    row = ledger.get(run.info.run_id, {})
    version = row.get("version") or tags.get(f"{OURS}version")
    kinds = tags.get(f"{OURS}cause_kinds") or tags.get(f"{OURS}trigger") or ""
    return Training(
        use_case=use_case,
        run_id=run_id,
        mlflow_run_id=str(run.info.run_id),
        decision=str(row.get("decision") or tags.get("decision", UNDECIDED)),
        status=str(run.info.status),
        version=None if version is None else int(version),
        started=datetime.fromtimestamp(run.info.start_time / 1000, tz=UTC),
        interval_start=tags.get(f"{OURS}interval_start", ""),
        interval_end=tags.get(f"{OURS}interval_end", ""),
        kinds=tuple(str(kinds).split("+")),
        by=tags.get(f"{OURS}triggered_by", ""),
        snapshot=tags.get(f"{OURS}snapshot", ""),
        snapshot_digest=tags.get(f"{OURS}snapshot_digest", ""),
        commit=tags.get(f"{OURS}code_commit", ""),
        reasons=tuple(json.loads(row["reasons_json"] if row else tags.get(f"{OURS}reasons", "[]"))),
        parameters=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=tags,
        annotations=remarks.get(run.info.run_id, ()),
    )


def _ledger(tables: TableStore, use_case: str) -> dict[str, dict[str, Any]]:
    name = f"{use_case}/trainings"
    if not tables.exists(name):
        return {}
    frame = tables.read(name, columns=["mlflow_run_id", "decision", "version", "reasons_json"])
    return {
        row["mlflow_run_id"]: row
        for row in frame.filter(pl.col("mlflow_run_id").is_not_null()).to_dicts()
    }


def _remarks(settings: Settings) -> dict[str, tuple[Annotation, ...]]:
    remarks: dict[str, tuple[Annotation, ...]] = {}
    for remark in current(TableStore(settings.tables_uri), "run"):
        remarks[remark.subject] = (*remarks.get(remark.subject, ()), remark)
    return remarks
