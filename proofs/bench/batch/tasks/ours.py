"""Batch scoring as the product does it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from include.catalogue import load_use_case
from include.model.package import load_model
from include.scoring.files import score_file
from proofs.bench.batch.window import CHUNK_ROWS, SCORED
from proofs.bench.training.world import USE_CASE, bench_settings


def score(arguments: dict[str, Any]) -> dict[str, Any]:
    """`score_file`: transform, predict, every check, predictions written with their origin."""
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
