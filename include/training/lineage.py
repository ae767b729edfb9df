"""From a model back to everything that it came from, and from any of that forward to the models
that it reached.

Every decided training leaves its lineage twice: as the document `lineage.json` of its MLflow run,
and as rows of the Delta table `lineage/edges`, one per thing that it came from or left. The table
answers the question in the other direction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from include.data_sets.golden import GoldenRecord
from include.data_sets.snapshot import Snapshot
from include.errors import DataError
from include.interval import Interval
from include.steps import StepContext
from include.tables.completed import intervals_table
from include.tables.ledger import Ledger
from include.tables.store import TableStore
from include.training.artefacts import type_of
from include.training.package import TrainedPackage
from include.training.provenance import environment, lock_digest
from include.triggers.causes import causes_of_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

LINEAGE_FILE = "lineage.json"
TABLE = "lineage/edges"
SCHEMA: dict[str, Any] = {
    "model": pl.String,
    "run_id": pl.String,
    "mlflow_run_id": pl.String,
    "decision": pl.String,
    "model_version": pl.Int64,
    "kind": pl.String,
    "role": pl.String,
    "name": pl.String,
    "version": pl.Int64,
    "digest": pl.String,
}
KINDS = (
    "table",
    "data_set",
    "features",
    "golden",
    "code",
    "lock",
    "package",
    "specification",
    "cause",
)


@dataclass(frozen=True)
class Reached:
    """A training that something reached.

    `model_version` is its version in the registry, `None` for a refused one.
    """

    model: str
    model_version: int | None
    decision: str
    run_id: str
    mlflow_run_id: str
    role: str


@dataclass(frozen=True)
class Search:
    """The numbers of a search's trials, and of the best one."""

    best: int
    trials: Sequence[int]


@dataclass(frozen=True)
class Cuts:
    """Where a snapshot was cut, and how many rows each part has."""

    boundaries: Mapping[str, str]
    rows: Mapping[str, int]


@dataclass(frozen=True)
class TrainingFacts:
    """What a training came from and left. What a refused run did not reach is None."""

    mlflow_run_id: str
    experiment_id: str
    code_commit: str
    snapshot: Snapshot
    golden: GoldenRecord | None
    trained: TrainedPackage | None = None
    search: Search | None = None
    cuts: Cuts | None = None


def record_lineage(
    client: MlflowClient,
    context: StepContext,
    facts: TrainingFacts,
    *,
    decision: str,
    version: int | None,
) -> dict[str, Any]:
    """Write the run's document and its rows; the same again changes nothing."""
    document = describe_lineage(client, context, facts, decision=decision, version=version)
    client.log_dict(facts.mlflow_run_id, document, LINEAGE_FILE)
    _write_edges(TableStore(context.settings.tables_uri), document)
    return document


def describe_lineage(
    client: MlflowClient,
    context: StepContext,
    facts: TrainingFacts,
    *,
    decision: str,
    version: int | None,
) -> dict[str, Any]:
    """The document, plain JSON.

    What a refused run did not reach (splits, trials, a package) is null.
    """
    tables, snapshot = TableStore(context.settings.tables_uri), facts.snapshot
    trained, search, cuts = facts.trained, facts.search, facts.cuts
    window = Interval.parse(snapshot.start, snapshot.end)
    return {
        "model": context.use_case.name,
        "version": version,
        "decision": decision,
        "run_id": context.run.run_id,
        "mlflow_run_id": facts.mlflow_run_id,
        "package": None
        if trained is None
        else {"digest": trained.digest, "model_id": trained.model_id},
        "data_set": {
            "name": snapshot.data_set,
            "table": snapshot.name,
            "version": snapshot.version,
            "digest": snapshot.digest,
            "definition": snapshot.definition,
            "rows": snapshot.rows,
            "window": window.as_json(),
        },
        "sources": _sources(context, snapshot.sources),
        "made_by": list(_processes(tables, context.use_case.name, window)),
        "features": {
            "service": context.use_case.training_data.feature_service,
            "definition": snapshot.definition,
        },
        "golden": None if facts.golden is None else facts.golden.as_json(),
        "splits": None if cuts is None else {"boundaries": cuts.boundaries, "rows": cuts.rows},
        "trials": None if search is None else _trials(client, facts, search),
        "specification": _specification_digest(context),
        "code": {
            "commit": facts.code_commit,
            "lock": lock_digest(),
            "environment": environment().model_dump(),
        },
        "trigger": {
            "kind": context.run.trigger,
            "by": context.run.triggered_by,
            "causes": _causes(context),
        },
        "artefacts": [
            {**entry, "type": type_of(entry["path"], context.use_case)}
            for entry in _artefacts(client, facts.mlflow_run_id)
            if entry["path"] != LINEAGE_FILE
        ],
    }


def reached_by(
    tables: TableStore,
    kind: str,
    *,
    name: str | None = None,
    version: int | None = None,
    digest: str | None = None,
) -> list[Reached]:
    """The trainings that came from the thing, by `name` (and `version`) or the beginning of its
    `digest`; in order of model and run.

    Raises `DataError` for an unknown kind, and with what there is of that kind when nothing
    matches.
    """
    if kind not in KINDS:
        raise DataError(f"Nothing of kind {kind!r} is in the lineage; valid: {', '.join(KINDS)}.")
    edges = (
        tables.read(TABLE, where=pl.col("kind") == kind)
        if tables.exists(TABLE)
        else pl.DataFrame(schema=SCHEMA)
    )
    matches = edges
    if name is not None:
        matches = matches.filter(pl.col("name") == name)
    if version is not None:
        matches = matches.filter(pl.col("version") == version)
    if digest is not None:
        matches = matches.filter(pl.col("digest").str.starts_with(digest))
    if matches.is_empty():
        raise DataError(
            f"No training came from {kind} {_told(name, version, digest)}. {_offered(edges)}"
        )
    rows = matches.sort("model", "model_version", "run_id", nulls_last=True).unique(
        ["model", "run_id", "role"], maintain_order=True
    )
    return [
        Reached(**{field: row[field] for field in Reached.__dataclass_fields__})
        for row in rows.to_dicts()
    ]


def edges_of(document: Mapping[str, Any]) -> pl.DataFrame:
    """The document's rows of the table."""
    code, features, golden = document["code"], document["features"], document["golden"]
    data = document["data_set"]
    rows = [
        ("table", source["role"], source["table"], source["version"], None)
        for source in document["sources"]
    ]
    rows.append(("data_set", "training set", data["table"], data["version"], data["digest"]))
    rows.append(("features", "definition", features["service"], None, features["definition"]))
    rows.append(
        ("specification", "declared as", document["model"], None, document["specification"])
    )
    rows += [
        ("code", "commit", "git", None, code["commit"]),
        ("lock", "environment", "requirements.txt", None, code["lock"]),
    ]
    rows += [
        ("cause", cause["kind"], cause["cause_id"], None, None)
        for cause in document["trigger"]["causes"]
    ]
    if golden is not None:
        rows.append(("golden", "measured on", golden["table"], golden["version"], golden["digest"]))
    if document["package"] is not None:
        rows.append(
            (
                "package",
                "result",
                document["model"],
                document["version"],
                document["package"]["digest"],
            )
        )
    head = (
        document["model"],
        document["run_id"],
        document["mlflow_run_id"],
        document["decision"],
        document["version"],
    )
    return pl.DataFrame([(*head, *row) for row in rows], schema=SCHEMA, orient="row").unique(
        maintain_order=True
    )


def _write_edges(tables: TableStore, document: Mapping[str, Any]) -> None:
    Ledger(tables, TABLE, SCHEMA, key=("model", "run_id")).upsert(edges_of(document))


def _sources(context: StepContext, sources: Mapping[str, int]) -> list[dict[str, Any]]:
    data = context.use_case.training_data
    roles = {data.entity_table: "questions", data.label_table: "labels"}
    tables = TableStore(context.settings.tables_uri)
    return [
        {
            "table": name,
            "version": version,
            "uri": tables.uri(name),
            "role": roles.get(name, "features"),
        }
        for name, version in sources.items()
    ]


def _processes(
    tables: TableStore, use_case_name: str, window: Interval
) -> Iterator[dict[str, Any]]:
    """The finished runs that wrote the source tables within the window: which process, which
    interval, which table versions it left.
    """
    name = intervals_table(use_case_name)
    if not tables.exists(name):
        return
    overlaps = (pl.col("interval_end") > window.start) & (pl.col("interval_start") < window.end)
    rows = tables.read(name, where=overlaps & pl.col("process").is_in(["ingest", "features"]))
    for row in rows.sort("interval_start", "process", "evidence_json").to_dicts():
        written = json.loads(row["evidence_json"]).get("tables", {})
        versions = {
            entry["name"]: entry["version"]
            for entry in written.values()
            if isinstance(entry, dict) and "name" in entry
        }
        yield {
            "process": row["process"],
            "interval": Interval(row["interval_start"], row["interval_end"]).as_json(),
            "tables": versions,
        }


def _trials(client: MlflowClient, facts: TrainingFacts, search: Search) -> dict[str, Any]:
    children = client.search_runs(
        [facts.experiment_id],
        f"tags.`mlflow.parentRunId` = '{facts.mlflow_run_id}'",
        max_results=1000,
    )
    numbered = {child.data.tags.get("flightdeck.trial"): child.info.run_id for child in children}
    listed = [
        {"trial": number, "mlflow_run_id": numbered.get(str(number))} for number in search.trials
    ]
    return {"best": search.best, "runs": listed}


def _causes(context: StepContext) -> list[dict[str, Any]]:
    columns = ("cause_id", "kind", "reason", "who", "source_dag_id", "source_run_id")
    return [
        {name: cause.get(name) for name in columns}
        for cause in causes_of_run(context)
        if cause.get("cause_id")
    ]


def _specification_digest(context: StepContext) -> str:
    import hashlib

    return hashlib.sha256(context.use_case.model_dump_json().encode()).hexdigest()


def _artefacts(
    client: MlflowClient, mlflow_run_id: str, folder: str | None = None
) -> Iterator[dict[str, Any]]:
    for item in sorted(
        client.list_artifacts(mlflow_run_id, folder), key=lambda item: str(item.path)
    ):
        if item.is_dir:
            yield from _artefacts(client, mlflow_run_id, item.path)
        else:
            yield {"path": str(item.path), "bytes": item.file_size}


def _told(name: str | None, version: int | None, digest: str | None) -> str:
    return " ".join(
        str(part)
        for part in (name, None if version is None else f"at version {version}", digest)
        if part is not None
    )


def _offered(edges: pl.DataFrame) -> str:
    if edges.is_empty():
        return "No training has been recorded yet."
    pairs: Sequence[tuple[Any, ...]] = (
        edges.select("name", "version", "digest").unique().sort("name", "version").rows()
    )
    names = sorted(
        {
            f"{name}@{version}" if version is not None else str(digest or name)[:16]
            for name, version, digest in pairs
        }
    )
    return f"There are: {', '.join(names[:20])}{' ...' if len(names) > 20 else ''}."
