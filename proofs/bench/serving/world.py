"""What the endpoints are measured on: six weeks of real flights, features materialised, one model,
published; and the requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.features.online.store import OnlineFeatures
from include.interval import Interval
from include.model.onnx_export import to_onnx
from include.model.package import MODEL_FILE, load_model, package_digest
from include.release.model_store import publish, set_desired
from include.release.plan import Plan, PlannedArm, write_plan_by_hand
from include.settings import Settings
from include.spec import UseCase
from proofs.harness.data import as_request, asked_flights
from proofs.harness.world import ASKED_AT, INTERVAL, build_world

SHARE, ROUNDS, REQUESTS, MANY = 0.3, 120, 200, 100
PARAMETERS = {"eta": 0.03, "min_child_weight": 5}
HOURS = Interval(INTERVAL.end + timedelta(hours=9), INTERVAL.end + timedelta(hours=21))


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
    """One model of the small world in service, its files for the peers, and the requests of the
    next afternoon.
    """
    small = build_world(settings, versions={1: PARAMETERS}, rounds=ROUNDS)
    use_case, package = small.use_case, small.packages[1]
    set_desired(settings, use_case.name, 1, small.digests[1])
    model = load_model(package)
    folder = settings.home / "model"
    folder.mkdir()
    (folder / "model.ubj").write_bytes((package / MODEL_FILE).read_bytes())
    (folder / "model.onnx").write_bytes(to_onnx(model))
    (folder / "inputs.json").write_text(json.dumps(model.transform.feature_names))
    rows = _requests(use_case)
    bodies = _write_bodies(settings, use_case, rows, model.transform)
    return World(
        settings, use_case, folder, bodies, int(model.booster.num_boosted_rounds()), package
    )


def give_shadow(world: World) -> Plan:
    """Have the same package, under another number, score beside the champion; the plan."""
    settings, name = world.settings, world.use_case.name
    digest = package_digest(world.package)
    publish(settings, name, world.package, 2, digest)
    champion = PlannedArm(role="champion", version=1, digest=digest, share=1.0)
    shadow = PlannedArm(role="shadow", version=2, digest=digest, share=0.0)
    return write_plan_by_hand(settings, name, (champion,), shadow)


def _requests(use_case: UseCase) -> list[dict[str, Any]]:
    """Flights of twelve hours, asked about five minutes after the tables end; times as Python
    objects in UTC.
    """
    departure = pl.col("scheduled_departure").dt.convert_time_zone("UTC")
    records = asked_flights(HOURS, ASKED_AT).head(REQUESTS).with_columns(departure).to_dicts()
    return [
        {
            **record,
            "scheduled_departure": record["scheduled_departure"].astimezone(UTC),
            use_case.event_time: ASKED_AT,
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
    sources = [{**bodies, **row} for bodies, row in zip(features, rows, strict=True)]
    matrix = transform.apply(
        {name: [source[name] for source in sources] for name in transform.columns}
    )
    plain = [as_request(row) for row in rows]
    full = [{**row, "features": bodies} for row, bodies in zip(plain, features, strict=True)]
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
    bodies = {}
    for kind, lines in documents.items():
        bodies[kind] = settings.home / f"{kind}.jsonl"
        bodies[kind].write_text("\n".join(map(json.dumps, lines)))
    return bodies
