"""The tables and rows that are measured on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from include.catalogue import load_data_module, load_use_case
from include.features.store import apply_definitions
from include.processes.features import compute_features
from include.tables.completed import mark_complete
from include.tables.store import TableStore
from proofs.bench.training.world import USE_CASE, YEAR, bench_settings, year_context

ENTITY_COLUMNS = (
    "flight_id",
    "asked_at",
    "carrier",
    "origin",
    "dest",
    "tailnum",
    "scheduled_departure",
)


def ingest(_: dict[str, Any]) -> dict[str, Any]:
    """Raw tables, feature tables and Feast's definitions of the year."""
    started = time.perf_counter()
    context = year_context("ingest", "features")
    use_case, settings = context.use_case, context.settings
    tables, data = TableStore(settings.tables_uri), load_data_module(use_case)
    for name, frame in data.read_source(YEAR, settings.sample_share).items():
        tables.replace_all(name, frame)
    mark_complete(tables, use_case.name, "ingest", YEAR, {})
    compute_features(context)
    apply_definitions(settings)
    return {
        "seconds": time.perf_counter() - started,
        "flights": tables.read(use_case.entity_table).height,
    }


def entities(arguments: dict[str, Any]) -> dict[str, Any]:
    """Entity rows in a file:

    `rows` of the year spread evenly, or the year repeated until there are as many.
    """
    started, rows = time.perf_counter(), int(arguments["rows"])
    frame = TableStore(bench_settings().tables_uri).read(
        load_use_case(USE_CASE).entity_table, columns=list(ENTITY_COLUMNS)
    )
    frame = frame.sort("asked_at", "flight_id")
    if rows <= frame.height:
        frame = frame.gather_every(max(1, frame.height // rows)).head(rows)
    else:
        frame = pl.concat([frame] * -(-rows // frame.height)).head(rows)
    frame.write_parquet(Path(arguments["path"]))
    return {"seconds": time.perf_counter() - started, "rows": frame.height}
