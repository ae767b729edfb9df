"""A small real world for the endpoint: six weeks of real flights in Delta tables, Feast's stores
filled, two real models published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.catalogue import load_use_case
from include.features.online.store import materialise
from include.features.retrieval import point_in_time
from include.features.store import apply_definitions
from include.interval import Interval
from include.model.signing import attach_signature, sign_package
from include.release.model_store import publish
from include.settings import Settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore, in_window
from include.training.package import train_package
from include.use_cases.flight_delays.data import compute_features, read_source

USE_CASE = "flight_delays"
INTERVAL = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))
SHARE = 0.1
ROUNDS = 20
SNAPSHOT = {"name": f"{USE_CASE}/snapshot", "uri": "memory", "version": 0, "digest": "0" * 64}


@dataclass(frozen=True)
class World:
    """`digests[v]` is the digest of published version v;

    `rows` are requests for the hours after the tables end.
    """

    settings: Settings
    use_case: UseCase
    digests: dict[int, str]
    packages: dict[int, Path]
    rows: list[dict[str, Any]]


def build_world(settings: Settings) -> World:
    """Ingest, compute features, train two models, fill the online store, publish both; neither is
    desired yet.
    """
    use_case, tables = load_use_case(USE_CASE), TableStore(settings.tables_uri)
    for name, frame in read_source(INTERVAL, SHARE).items():
        tables.replace_all(name, frame)
    for view, frame in compute_features(tables, INTERVAL).items():
        tables.replace_all(
            next(part.table for part in use_case.feature_tables if part.view == view), frame
        )
    apply_definitions(settings)
    asked = tables.read(
        "raw/flights", where=in_window("asked_at", INTERVAL.start + timedelta(days=7), INTERVAL.end)
    )
    labelled = asked.join(
        tables.read("raw/arrivals", columns=["flight_id", "late"]), on="flight_id"
    ).sort("asked_at")
    frame = point_in_time(use_case, labelled, settings)
    digests, packages = {}, {}
    for version in (1, 2):
        packages[version], digests[version] = _train(settings, use_case, frame, version)
        publish(settings, use_case.name, packages[version], version, digests[version])
    materialise(use_case, settings, INTERVAL.end)
    return World(settings, use_case, digests, packages, _requests(use_case))


def _train(
    settings: Settings, use_case: UseCase, frame: pl.DataFrame, version: int
) -> tuple[Path, str]:
    small = use_case.model_copy(
        update={"training": use_case.training.model_copy(update={"boost_rounds": ROUNDS})}
    )
    first, second = int(frame.height * 0.7), int(frame.height * 0.85)
    splits = {"train": frame[:first], "validation": frame[first:second], "test": frame[second:]}
    context = StepContext(
        small, settings, INTERVAL, RunInfo(process="training", run_id=f"run-{version}")
    )
    parameters = {**use_case.training.parameters, "max_depth": 2 + version}
    folder, digest, *_ = train_package(context, splits, parameters, SNAPSHOT, "0" * 40)
    attach_signature(folder, sign_package(settings, folder, digest))
    return folder, digest


def _requests(use_case: UseCase) -> list[dict[str, Any]]:
    """The flights that are asked about in the hours after the tables end, as request rows."""
    hours = Interval(INTERVAL.end + timedelta(hours=12), INTERVAL.end + timedelta(hours=15))
    flights = read_source(hours, 1.0)["raw/flights"]
    moment = pl.lit(INTERVAL.end + timedelta(minutes=5)).cast(flights.schema["asked_at"])
    fields = [
        *use_case.serving.entity_keys,
        "scheduled_departure",
        use_case.event_time,
        use_case.id_column,
    ]
    return [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in flights.with_columns(moment.alias("asked_at"))
        .select(fields)
        .iter_rows(named=True)
    ]
