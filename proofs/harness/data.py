"""Real flights in a home of their own, without the DAGs that would bring them there: tables,
training rows, a trained package, requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from include.features.retrieval import point_in_time
from include.features.store import apply_definitions
from include.interval import Interval
from include.model.signing import attach_signature, sign_package
from include.settings import Settings
from include.spec import UseCase
from include.steps import StepContext
from include.tables.completed import mark_complete
from include.tables.store import TableStore, in_window
from include.training.fitting import Fit
from include.training.package import train_package
from include.use_cases.flight_delays.data import compute_features, read_source
from include.use_cases.flight_delays.spec import USE_CASE

SNAPSHOT = {"name": f"{USE_CASE.name}/snapshot", "uri": "memory", "version": 0, "digest": "0" * 64}
CODE_VERSION = "0" * 40
TRAIN_SHARE, VALIDATION_SHARE = 0.7, 0.15


def land(settings: Settings, interval: Interval) -> None:
    """Raw and feature tables of an interval, as they would be after the features DAG, and Feast's
    definitions.
    """
    land_tables(TableStore(settings.tables_uri), interval, settings.sample_share)
    apply_definitions(settings)


def land_tables(tables: TableStore, interval: Interval, share: float) -> None:
    """The tables alone, marked complete."""
    for name, frame in read_source(interval, share).items():
        column = USE_CASE.table(name).time_column
        if column is None:
            tables.replace_all(name, frame)
        else:
            tables.replace_window(
                name, frame, time_column=column, start=interval.start, end=interval.end
            )
    frames = compute_features(tables, interval)
    written = {
        part.view: tables.replace_all(part.table, frames[part.view]).as_json()
        for part in USE_CASE.feature_tables
    }
    mark_complete(tables, USE_CASE.name, "features", interval, {"tables": written})


def labelled_rows(settings: Settings, start: datetime, end: datetime) -> pl.DataFrame:
    """The flights of a window with label and point-in-time features, in the order of time."""
    tables = TableStore(settings.tables_uri)
    flights = tables.read("raw/flights", where=in_window("asked_at", start, end))
    labels = tables.read("raw/arrivals", columns=["flight_id", "late"])
    return point_in_time(USE_CASE, flights.join(labels, on="flight_id"), settings).sort("asked_at")


def train_signed(
    context: StepContext, rows: pl.DataFrame, **parameters: Any
) -> tuple[Path, str, Fit]:
    """Train on the rows, split in their order, and sign; folder, digest and fit."""
    use_case, settings = context.use_case, context.settings
    first, second = (
        int(rows.height * share) for share in (TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE)
    )
    splits = {"train": rows[:first], "validation": rows[first:second], "test": rows[second:]}
    folder, digest, fit = train_package(
        context, splits, {**use_case.training.parameters, **parameters}, SNAPSHOT, CODE_VERSION
    )
    attach_signature(folder, sign_package(settings, folder, digest))
    return folder, digest, fit


def with_rounds(use_case: UseCase, rounds: int) -> UseCase:
    """The use case with a model of that many rounds, none of them stopped early."""
    update = {"boost_rounds": rounds, "early_stopping_rounds": rounds}
    return use_case.model_copy(update={"training": use_case.training.model_copy(update=update)})


def asked_flights(hours: Interval, asked_at: datetime) -> pl.DataFrame:
    """Entity rows about the flights of some hours, all asked about at one moment."""
    flights = read_source(hours, 1.0)["raw/flights"]
    fields = (
        *USE_CASE.serving.entity_keys,
        "scheduled_departure",
        USE_CASE.event_time,
        USE_CASE.id_column,
    )
    moment = pl.lit(asked_at).cast(flights.schema["asked_at"]).alias("asked_at")
    return flights.with_columns(moment).select(fields)


def as_request(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: times in ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }
