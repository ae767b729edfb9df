"""The limit of batch scoring: raw prediction over the file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from include.model.package import load_model
from proofs.bench.batch.window import CHUNK_ROWS
from proofs.bench.training.world import bench_settings


def score(arguments: dict[str, Any]) -> dict[str, Any]:
    """The limit: chunks of the file, a matrix made by hand for this one model, `inplace_predict`;
    nothing is checked or kept.
    """
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
                elif item.kind == "local_month":
                    column = column.dt.convert_time_zone(item.timezone).dt.month()
                made.append(column.cast(pl.Float32).fill_null(float("nan")).alias(item.name))
            scores = booster.inplace_predict(frame.select(made).to_numpy(order="c"))
            rows, total = rows + len(scores), total + float(scores.sum(dtype=np.float64))
    return {"seconds": time.perf_counter() - started, "rows": rows, "mean_score": total / rows}
