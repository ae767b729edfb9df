"""The children of the batch bench: a real model, real rows repeated into one Parquet file, and the
ways to score it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.catalogue import load_use_case
from include.interval import Interval
from include.steps import RunInfo, StepContext
from proofs.bench.training.world import USE_CASE, bench_settings

TABLES = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC))
SCORED = Interval(datetime(2013, 4, 1, tzinfo=UTC), TABLES.end)
CHUNK_ROWS = 100_000


def batch_world(arguments: dict[str, Any]) -> dict[str, Any]:
    """Tables of four months, a model trained on the declared window before April, and `rows` real
    rows of April, repeated.
    """
    from include.features.retrieval import point_in_time
    from include.tables.store import TableStore, in_window
    from proofs.harness.data import labelled_rows, land, train_signed

    started = time.perf_counter()
    use_case, settings = load_use_case(USE_CASE), bench_settings()
    land(settings, TABLES)
    window_start = SCORED.start - timedelta(days=use_case.training.window_days)
    rows = labelled_rows(settings, window_start, SCORED.start)
    context = StepContext(use_case, settings, TABLES, RunInfo(process="training", run_id="bench"))
    package, digest, fit = train_signed(context, rows)
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


def batch_raw(arguments: dict[str, Any]) -> dict[str, Any]:
    """The limit: chunks of the file, a matrix made by hand for this one model, `inplace_predict`;
    nothing is checked or kept.
    """
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    from include.model.package import load_model

    model = load_model(Path(arguments["package"]), threads=bench_settings().training_threads)
    inputs, categories, booster = model.transform.inputs, model.transform.categories, model.booster
    codes = {name: pl.Enum(list(values)) for name, values in categories.items()}
    rows, total = 0, 0.0
    booster.inplace_predict(np.zeros((1000, len(inputs)), dtype=np.float32))
    started = time.perf_counter()
    with pq.ParquetFile(arguments["path"]) as file:
        names = list(dict.fromkeys(model.transform.column(item) for item in inputs))
        for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=names):
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            made = []
            for item in inputs:
                column = pl.col(model.transform.column(item))
                if item.kind == "category":
                    column = column.cast(codes[item.name], strict=False).to_physical()
                elif item.kind == "local_hour":
                    column = column.dt.convert_time_zone(item.timezone).dt.hour()
                elif item.kind == "local_weekday":
                    column = column.dt.convert_time_zone(item.timezone).dt.weekday() - 1
                made.append(column.cast(pl.Float32).fill_null(float("nan")).alias(item.name))
            scores = booster.inplace_predict(frame.select(made).to_numpy(order="c"))
            rows, total = rows + len(scores), total + float(scores.sum(dtype=np.float64))
    return {"seconds": time.perf_counter() - started, "rows": rows, "mean_score": total / rows}


def batch_ours(arguments: dict[str, Any]) -> dict[str, Any]:
    """`score_file`: transform, predict, every check, predictions written with their origin."""
    import polars as pl

    from include.model.package import load_model
    from include.scoring.files import score_file

    model = load_model(Path(arguments["package"]), threads=bench_settings().training_threads)
    model.check_golden()
    target = Path(arguments["path"]).with_name("predictions.parquet")
    use_case = load_use_case(USE_CASE)
    started = time.perf_counter()
    result = score_file(
        use_case, model, 1, Path(arguments["path"]), target, SCORED, chunk_rows=CHUNK_ROWS
    )
    seconds = time.perf_counter() - started
    mean = pl.scan_parquet(target).select(pl.col("score").mean()).collect().item()
    target.unlink()
    return {"seconds": seconds, "rows": result["rows"], "mean_score": mean}


def _repeat(frame: Any, rows: int, path: Path) -> None:
    """The frame again and again with ids of their own, in row groups of a chunk, until there are
    `rows`.
    """
    import polars as pl
    import pyarrow.parquet as pq

    writer, written, turn = None, 0, 0
    while written < rows:
        part = frame.head(rows - written).with_columns(pl.col("flight_id") + f"-{turn}").to_arrow()
        writer = writer or pq.ParquetWriter(path, part.schema, compression="zstd")
        writer.write_table(part, row_group_size=CHUNK_ROWS)
        written, turn = written + part.num_rows, turn + 1
    if writer is not None:
        writer.close()
