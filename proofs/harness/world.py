"""A small real world for the endpoint: six weeks of real flights in Delta tables, Feast's stores
filled, models trained, signed and published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from include.features.online.store import materialise
from include.interval import Interval
from include.release.model_store import publish
from include.settings import Settings
from include.spec import Release, UseCase
from include.steps import RunInfo, StepContext
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.data import (
    as_request,
    asked_flights,
    labelled_rows,
    land,
    train_signed,
    with_rounds,
)

INTERVAL = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))
FIRST_ROWS = INTERVAL.start + timedelta(days=7)
"""Before, most features have no value yet."""
ASKED_AT = INTERVAL.end + timedelta(minutes=5)
TWO_VERSIONS: Mapping[int, Mapping[str, Any]] = MappingProxyType(
    {1: {"max_depth": 3}, 2: {"max_depth": 4}}
)
ROUNDS = 20
UNITS = timedelta(days=3)
"""The flights of so many days are asked about: a canary of 5 % needs many units."""
RELEASED_DIRECTLY = USE_CASE.model_copy(update={"release": Release()})
"""The flights without the stages of their canary, which need callers."""


@dataclass(frozen=True)
class World:
    """`digests[v]` is the digest of published version v, `packages[v]` its folder; `rows` are
    requests for hours after the tables end, `entities` the same as entity rows.
    """

    settings: Settings
    use_case: UseCase
    digests: dict[int, str]
    packages: dict[int, Path]
    rows: list[dict[str, Any]]
    entities: pl.DataFrame


def build_world(
    settings: Settings,
    *,
    versions: Mapping[int, Mapping[str, Any]] = TWO_VERSIONS,
    rounds: int = ROUNDS,
) -> World:
    """Ingest, compute features, train one model for each version's parameters, fill the online
    store, publish; no version is desired yet.
    """
    land(settings, INTERVAL)
    rows = labelled_rows(settings, FIRST_ROWS, INTERVAL.end)
    small = with_rounds(USE_CASE, rounds)
    digests, packages = {}, {}
    for version, parameters in versions.items():
        run = RunInfo(process="training", run_id=f"run-{version}")
        context = StepContext(small, settings, INTERVAL, run)
        folder, digest, _ = train_signed(context, rows, **parameters)
        packages[version], digests[version] = folder, digest
        publish(settings, USE_CASE.name, folder, version, digest)
    materialise(USE_CASE, settings, INTERVAL.end)
    afternoon = Interval(INTERVAL.end + timedelta(hours=12), INTERVAL.end + timedelta(hours=15))
    entities = asked_flights(afternoon, ASKED_AT)
    requests = [as_request(row) for row in entities.iter_rows(named=True)]
    return World(settings, RELEASED_DIRECTLY, digests, packages, requests, entities)


def with_many_units(world: World) -> World:
    """The world with requests about the flights of some days."""
    hours = Interval(INTERVAL.end + timedelta(hours=12), INTERVAL.end + UNITS)
    entities = asked_flights(hours, ASKED_AT)
    requests = [as_request(row) for row in entities.iter_rows(named=True)]
    return replace(world, rows=requests, entities=entities)
