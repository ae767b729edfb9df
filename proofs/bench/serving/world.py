"""What the endpoints are measured on: six weeks of real flights, features materialised, one model,
published; and the requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.catalogue import load_use_case
from include.features.online.store import OnlineFeatures, materialise
from include.features.retrieval import point_in_time
from include.features.store import apply_definitions
from include.interval import Interval
from include.model.onnx_export import to_onnx
from include.model.package import MODEL_FILE, load_model
from include.model.signing import attach_signature, sign_package
from include.quality.landing import use_case_data
from include.release.model_store import publish, set_desired
from include.settings import Settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore, in_window
from include.training.package import train_package

INTERVAL = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))
SNAPSHOT = {"name": "flight_delays/snapshot", "uri": "memory", "version": 0, "digest": "0" * 64}
SHARE, ROUNDS, QUESTIONS, MANY = 0.3, 120, 200, 100
PARAMETERS = {"eta": 0.03, "min_child_weight": 5}


@dataclass(frozen=True)
class World:
    """`model` holds model.ubj, model.onnx and inputs.json for the peers;

    `bodies` maps a kind of request to its file, one a line.
    """

    settings: Settings
    use_case: UseCase
    model: Path
    bodies: dict[str, Path]
    trees: int
    package: Path


def build(settings: Settings) -> World:
    """Ingest, compute, train, publish, materialise, and write the requests of the next afternoon."""
    use_case = load_use_case("flight_delays")
    tables, data = TableStore(settings.tables_uri), use_case_data(use_case)
    for name, frame in data.read_source(INTERVAL, SHARE).items():
        tables.replace_all(name, frame)
    for view, frame in data.compute_features(tables, INTERVAL).items():
        tables.replace_all(
            next(part.table for part in use_case.feature_tables if part.view == view), frame
        )
    apply_definitions(settings)
    package, digest = _train(settings, use_case, tables)
    publish(settings, use_case.name, package, 1, digest)
    set_desired(settings, use_case.name, 1, digest)
    materialise(use_case, settings, INTERVAL.end)
    model = load_model(package)
    folder = settings.home / "model"
    folder.mkdir()
    (folder / "model.ubj").write_bytes((package / MODEL_FILE).read_bytes())
    (folder / "model.onnx").write_bytes(to_onnx(model))
    (folder / "inputs.json").write_text(json.dumps(model.transform.feature_names))
    rows = _questions(use_case)
    bodies = _write_bodies(settings, use_case, rows, model.transform)
    return World(
        settings, use_case, folder, bodies, int(model.booster.num_boosted_rounds()), package
    )


def _train(settings: Settings, use_case: UseCase, tables: TableStore) -> tuple[Path, str]:
    asked = tables.read(
        "raw/flights", where=in_window("asked_at", INTERVAL.start + timedelta(days=7), INTERVAL.end)
    )
    labelled = asked.join(
        tables.read("raw/arrivals", columns=["flight_id", "late"]), on="flight_id"
    ).sort("asked_at")
    frame = point_in_time(use_case, labelled, settings)
    training = use_case.training.model_copy(
        update={"boost_rounds": ROUNDS, "early_stopping_rounds": ROUNDS}
    )
    first, second = int(frame.height * 0.7), int(frame.height * 0.85)
    splits = {"train": frame[:first], "validation": frame[first:second], "test": frame[second:]}
    run = RunInfo(process="training", run_id="bench")
    context = StepContext(
        use_case.model_copy(update={"training": training}), settings, INTERVAL, run
    )
    package, digest, _ = train_package(
        context, splits, {**use_case.training.parameters, **PARAMETERS}, SNAPSHOT, "0" * 40
    )
    attach_signature(package, sign_package(settings, package, digest))
    return package, digest


def _questions(use_case: UseCase) -> list[dict[str, Any]]:
    """Flights that are asked about five minutes after the tables end; times as Python objects."""
    hours = Interval(INTERVAL.end + timedelta(hours=9), INTERVAL.end + timedelta(hours=21))
    flights = use_case_data(use_case).read_source(hours, 1.0)["raw/flights"].head(QUESTIONS)
    moment = INTERVAL.end + timedelta(minutes=5)
    names = [*use_case.serving.entity_keys, "scheduled_departure", use_case.id_column]
    records = (
        flights.select(names)
        .with_columns(pl.col("scheduled_departure").dt.convert_time_zone("UTC"))
        .to_dicts()
    )
    return [
        {
            **record,
            "scheduled_departure": record["scheduled_departure"].astimezone(UTC),
            use_case.event_time: moment,
        }
        for record in records
    ]


def _write_bodies(
    settings: Settings, use_case: UseCase, rows: list[dict[str, Any]], transform: Any
) -> dict[str, Path]:
    features = (
        OnlineFeatures(use_case, settings)
        .lookup_rows(rows, [row[use_case.event_time] for row in rows])
        .features
    )
    sources = [{**found, **row} for found, row in zip(features, rows, strict=True)]
    matrix = transform.apply(
        {name: [source[name] for source in sources] for name in transform.columns}
    )
    plain = [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    full = [{**row, "features": found} for row, found in zip(plain, features, strict=True)]
    inputs = [[None if np.isnan(value) else float(value) for value in row] for row in matrix]
    names = transform.feature_names
    documents: dict[str, list[dict[str, Any]]] = {
        "lookup": [{"rows": [row]} for row in plain],
        "features": [{"rows": [row]} for row in full],
        "many": [
            {"rows": full[start : start + MANY]} for start in range(0, len(full) - MANY + 1, MANY)
        ],
        "inputs": [{"rows": [dict(zip(names, row, strict=True))]} for row in inputs],
        "mlflow": [{"dataframe_split": {"columns": names, "data": [row]}} for row in inputs],
        "mlserver": [
            {
                "inputs": [
                    {"name": "matrix", "shape": [1, len(names)], "datatype": "FP32", "data": [row]}
                ]
            }
            for row in inputs
        ],
    }
    found = {}
    for kind, lines in documents.items():
        found[kind] = settings.home / f"{kind}.jsonl"
        found[kind].write_text("\n".join(map(json.dumps, lines)))
    return found
