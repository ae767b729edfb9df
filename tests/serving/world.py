"""A small real world for the endpoint: six weeks of real flights in Delta tables, Feast's stores
filled, two real models packaged.
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
from include.inference_log.log import log_table, ship
from include.interval import Interval
from include.model.signing import attach_signature, sign_package
from include.release.model_store import publish
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore, in_window
from include.training.package import train_package
from include.use_cases.flight_delays.data import compute_features, read_source

INTERVAL = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))
SNAPSHOT = {"name": "flight_delays/snapshot", "uri": "memory", "version": 0, "digest": "0" * 64}


@dataclass(frozen=True)
class World:
    """`digests[v]` is the digest of published version v;

    `rows` are requests for the hour after `until`.
    """

    settings: Settings
    use_case: UseCase
    digests: dict[int, str]
    packages: dict[int, Path]
    rows: list[dict[str, Any]]
    entities: pl.DataFrame


def build_world(home: Path, *, share: float = 0.15, rounds: int = 20) -> World:
    """Ingest, compute features, train two boosters, materialise, publish both; neither is desired
    yet.
    """
    settings = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(home)})
    use_case = load_use_case("flight_delays")
    tables = TableStore(settings.tables_uri)
    _ingest(tables, use_case, share)
    apply_definitions(settings)
    asked = tables.read(
        "raw/flights", where=in_window("asked_at", INTERVAL.start + timedelta(days=7), INTERVAL.end)
    )
    labelled = asked.join(
        tables.read("raw/arrivals", columns=["flight_id", "late"]), on="flight_id"
    ).sort("asked_at")
    frame = point_in_time(use_case, labelled, settings)
    digests: dict[int, str] = {}
    packages: dict[int, Path] = {}
    for version in (1, 2):
        packages[version], digests[version] = _train(
            settings, use_case, frame, f"run-{version}", {"max_depth": 2 + version}, rounds
        )
        attach_signature(
            packages[version], sign_package(settings, packages[version], digests[version])
        )
        publish(settings, use_case.name, packages[version], version, digests[version])
    materialise(use_case, settings, INTERVAL.end)
    return World(settings, use_case, digests, packages, *_requests(use_case))


def _ingest(tables: TableStore, use_case: UseCase, share: float) -> None:
    for name, frame in read_source(INTERVAL, share).items():
        column = use_case.table(name).time_column
        if column is None:
            tables.replace_all(name, frame)
        else:
            tables.replace_window(
                name, frame, time_column=column, start=INTERVAL.start, end=INTERVAL.end
            )
    for view, frame in compute_features(tables, INTERVAL).items():
        table = next(part.table for part in use_case.feature_tables if part.view == view)
        tables.replace_all(table, frame)


def _train(
    settings: Settings,
    use_case: UseCase,
    frame: pl.DataFrame,
    run_id: str,
    parameters: dict[str, Any],
    rounds: int,
) -> tuple[Path, str]:
    small = use_case.model_copy(
        update={"training": use_case.training.model_copy(update={"boost_rounds": rounds})}
    )
    first, second = int(frame.height * 0.7), int(frame.height * 0.85)
    splits = {"train": frame[:first], "validation": frame[first:second], "test": frame[second:]}
    context = StepContext(small, settings, INTERVAL, RunInfo(process="training", run_id=run_id))
    folder, digest, _ = train_package(
        context, splits, {**use_case.training.parameters, **parameters}, SNAPSHOT, "0" * 40
    )
    return folder, digest


def _requests(use_case: UseCase) -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """The flights that are asked about in the three hours after the tables end, as request rows and
    as entity rows.
    """
    hours = Interval(INTERVAL.end + timedelta(hours=12), INTERVAL.end + timedelta(hours=15))
    flights = read_source(hours, 1.0)["raw/flights"]
    moment = INTERVAL.end + timedelta(minutes=5)
    fields = [
        *use_case.serving.entity_keys,
        "scheduled_departure",
        use_case.event_time,
        use_case.id_column,
    ]
    entities = flights.with_columns(
        pl.lit(moment).cast(flights.schema["asked_at"]).alias("asked_at")
    ).select(fields)
    rows = [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in entities.iter_rows(named=True)
    ]
    return rows, entities


def logged_rows(world: World) -> pl.DataFrame:
    """The inference log, after shipping."""
    ship(world.settings, world.use_case.name)
    return TableStore(world.settings.tables_uri).read(log_table(world.use_case.name))
