"""An inference log of two versions, written as the shipper writes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from include.catalogue import load_use_case
from include.features.transform import FeatureTransform
from include.inference_log.log import feedback_table, log_schema, log_table
from include.inference_log.log_tables import FEEDBACK_SCHEMA
from include.model.digests import package_digest
from include.release.model_store import version_folder
from include.release.plan import Plan, PlannedArm
from include.tables.store import TableStore

USE_CASE = load_use_case("flight_delays")
START = datetime(2013, 6, 1, tzinfo=UTC)
ORIGINS = ("EWR", "JFK", "LGA")
EDGES = [0.2, 0.4, 0.6, 0.8]
SCHEMA = {
    **log_schema(USE_CASE),
    "plan": pl.Int64,
    "model_digest": pl.String,
    "fallback": pl.String,
}


def champion_package(home, version=3) -> str:
    """Put the parts of a package that the analysis reads into the store; its digest."""
    folder = version_folder(home, USE_CASE.name, version)
    folder.mkdir(parents=True)
    categories = {item.name: () for item in USE_CASE.inputs if item.kind == "category"}
    transform = FeatureTransform(
        inputs=USE_CASE.inputs, event_time=USE_CASE.event_time, categories=categories
    )
    (folder / "transform.json").write_text(transform.model_dump_json())
    (folder / "reference.json").write_text(json.dumps({"score": {"edges": EDGES}}))
    return package_digest(folder)


def plan(sequence, share, champion, challenger="d" * 64, shadow=False):
    """The plan number `sequence`: version 3 is the champion, version 4 is tried."""
    tried = PlannedArm(
        role="shadow" if shadow else "challenger", version=4, digest=challenger, share=share
    )
    first = PlannedArm(role="champion", version=3, digest=champion, share=1.0 - share)
    return Plan(
        use_case=USE_CASE.name,
        sequence=sequence,
        arms=(first,) if shadow else (first, tried),
        shadow=tried if shadow else None,
        unit=(),
        salt="s",
        decided_by="row",
    )


def rows(count, role, sequence, digest, seed=0, **changes):
    """Answers of one arm under one plan; `changes` are columns, as a value or a list."""
    generator = np.random.default_rng(seed)
    scores = generator.random(count)
    columns = {
        "prediction_id": [f"{seed:06d}{i:06d}7{i:019d}" for i in range(count)],
        "sequence": list(range(count)),
        "model_version": [3 if role == "champion" else 4] * count,
        "answered_at": [START + timedelta(seconds=sequence * 1000 + i) for i in range(count)],
        USE_CASE.event_time: [START] * count,
        USE_CASE.id_column: [f"{seed}-{i}" for i in range(count)],
        "carrier": [f"C{i % 7}" for i in range(count)],
        "origin": [ORIGINS[i % 3] for i in range(count)],
        "dest": [f"D{i % 11}" for i in range(count)],
        "tailnum": [f"N{i}" for i in range(count)],
        "score": scores.tolist(),
        "decision": (scores >= 0.35).tolist(),
        "flags": [[] for _ in range(count)],
        "latency_ms": generator.lognormal(1.0, 0.3, count).tolist(),
        "arm": [role] * count,
        "plan": [sequence] * count,
        "model_digest": [digest] * count,
    }
    for name, value in changes.items():
        columns[name] = value if isinstance(value, list) else [value] * count
    return pl.DataFrame(
        {name: columns.get(name, [None] * count) for name in SCHEMA}, schema=SCHEMA, strict=False
    )


def write_log(home, *frames):
    """Write the log's table."""
    tables = TableStore(home.tables_uri)
    tables.replace_all(log_table(USE_CASE.name), pl.concat(frames))


def write_feedback(home, name, values, known_at=START + timedelta(hours=5)):
    """What an application told: prediction id to number."""
    count = len(values)
    columns = {
        "sequence": list(range(count)),
        "prediction_id": list(values),
        "name": [name] * count,
        "value": list(values.values()),
        "known_at": [known_at] * count,
        "received_at": [START + timedelta(hours=6)] * count,
    }
    frame = pl.DataFrame(
        {key: columns.get(key, [None] * count) for key in FEEDBACK_SCHEMA}, schema=FEEDBACK_SCHEMA
    )
    TableStore(home.tables_uri).replace_all(feedback_table(USE_CASE.name), frame)


def write_labels(home, labels):
    """The label table: flight id to 0 or 1."""
    frame = pl.DataFrame(
        {
            "flight_id": list(labels),
            "late": list(labels.values()),
            "known_at": [START + timedelta(hours=5)] * len(labels),
        }
    ).with_columns(pl.col("known_at").cast(pl.Datetime("us", "UTC")))
    TableStore(home.tables_uri).replace_all("raw/arrivals", frame)
