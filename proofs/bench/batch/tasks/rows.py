"""A real model, and real rows repeated into one Parquet file."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from include.catalogue import load_use_case
from include.features.retrieval import point_in_time
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore, in_window
from proofs.bench.batch.window import CHUNK_ROWS, SCORED, TABLES
from proofs.bench.training.world import USE_CASE, bench_settings
from proofs.harness.data import labelled_rows, land, train_signed


def rows(arguments: dict[str, Any]) -> dict[str, Any]:
    """Tables of four months, a model trained on the declared window before April, and `rows` real
    rows of April, repeated.
    """
    started = time.perf_counter()
    use_case, settings = load_use_case(USE_CASE), bench_settings()
    land(settings, TABLES)
    window_start = SCORED.start - timedelta(days=use_case.training.window_days)
    labelled = labelled_rows(settings, window_start, SCORED.start)
    context = StepContext(use_case, settings, TABLES, RunInfo(process="training", run_id="bench"))
    package, digest, fit = train_signed(context, labelled)
    tables = TableStore(settings.tables_uri)
    april = point_in_time(
        use_case,
        tables.read("raw/flights", where=in_window("asked_at", SCORED.start, SCORED.end)),
        settings,
    )
    _repeat(april, int(arguments["rows"]), Path(arguments["path"]))
    size = Path(arguments["path"]).stat().st_size
    return {
        "seconds": time.perf_counter() - started,
        "package": str(package),
        "digest": digest,
        "trees": fit.best_iteration + 1,
        "bytes": size,
    }


def _repeat(frame: pl.DataFrame, rows: int, path: Path) -> None:
    """The frame again and again with ids of their own, in row groups of a chunk, until there are
    `rows`.
    """
    writer, written, turn = None, 0, 0
    while written < rows:
        part = frame.head(rows - written).with_columns(pl.col("flight_id") + f"-{turn}").to_arrow()
        writer = writer or pq.ParquetWriter(path, part.schema, compression="zstd")
        writer.write_table(part, row_group_size=CHUNK_ROWS)
        written, turn = written + part.num_rows, turn + 1
    if writer is not None:
        writer.close()
