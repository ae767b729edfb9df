"""Transform and predict, on as many rows as one likes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.features.transform import FeatureTransform
from proofs.bench.training.world import bench_settings


def transform(arguments: dict[str, Any]) -> dict[str, Any]:
    """`FeatureTransform.apply_frame` on joined rows, repeated until there are as many as asked
    for.
    """
    (base, rows), fitted = _model_rows(arguments), _transform(arguments)
    frame = (
        base.head(rows)
        if rows <= base.height
        else pl.concat([base] * -(-rows // base.height)).head(rows)
    )
    fitted.apply_frame(frame.head(1000))
    started = time.perf_counter()
    matrix = fitted.apply_frame(frame)
    return {"seconds": time.perf_counter() - started, "rows": matrix.shape[0]}


def predict(arguments: dict[str, Any]) -> dict[str, Any]:
    """A booster's `inplace_predict`, which is what scoring calls, on as many rows of the matrix."""
    import xgboost

    base, rows = _model_rows(arguments)
    small = _transform(arguments).apply_frame(base)
    matrix = np.resize(small, (rows, small.shape[1]))
    booster = xgboost.Booster({"nthread": bench_settings().training_threads})
    booster.load_model(Path(arguments["model"]) / "model.ubj")
    booster.set_param({"nthread": bench_settings().training_threads})
    booster.inplace_predict(matrix[:1000])
    started = time.perf_counter()
    scores = booster.inplace_predict(matrix)
    return {"seconds": time.perf_counter() - started, "rows": int(scores.shape[0])}


def _model_rows(arguments: dict[str, Any]) -> tuple[Any, int]:
    return pl.read_parquet(Path(arguments["model"]) / "rows.parquet"), int(arguments["rows"])


def _transform(arguments: dict[str, Any]) -> Any:
    return FeatureTransform.model_validate_json(
        (Path(arguments["model"]) / "transform.json").read_text()
    )
