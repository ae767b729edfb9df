"""The same training as a bare script: read, join, snapshot, split, tune, fit, evaluate, save. No
Airflow, MLflow, checks or gates.

The join, the search and the fit are written against Polars, Optuna and XGBoost directly; the
evaluation and its plots are the product's own functions, so that both sides evaluate the same.
"""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from proofs.bench.training.joins import EVENT_TIME, STAMP, VIEWS
from proofs.bench.training.world import YEAR, year_context

MODEL = "proofs.bench.training.tasks.bare_model"


def train(arguments: dict[str, Any]) -> dict[str, Any]:
    """Everything in one function's life; the answer holds the validation log loss of the final fit,
    for comparison.
    """
    context = year_context("bare")
    use_case, root = context.use_case, context.settings.tables_uri
    started = time.perf_counter()
    frame = _snapshot(root, use_case.training.window_days)
    folder = Path(arguments["folder"])
    frame.write_delta(str(folder / "snapshot"), mode="overwrite")
    # Imported on the clock, as the steps of the DAG import what fits and evaluates.
    model = import_module(MODEL)
    logloss = model.fit_and_evaluate(context, frame, folder, int(arguments["trials"]))
    return {
        "seconds": time.perf_counter() - started,
        "validation_logloss": logloss,
        "rows": frame.height,
    }


def _snapshot(root: str, days: int) -> pl.DataFrame:
    inside = (pl.col(EVENT_TIME) >= YEAR.end - pl.duration(days=days)) & (
        pl.col(EVENT_TIME) < YEAR.end
    )
    columns = [
        "flight_id",
        EVENT_TIME,
        "carrier",
        "origin",
        "dest",
        "tailnum",
        "scheduled_departure",
    ]
    flights = pl.scan_delta(f"{root}/raw/flights").filter(inside).select(columns)
    labels = (
        pl.scan_delta(f"{root}/raw/arrivals")
        .filter(pl.col("known_at") < YEAR.end)
        .select("flight_id", "late", "known_at")
    )
    frame = flights.join(labels, on="flight_id").sort(EVENT_TIME, "flight_id").collect()
    for view, (keys, features, ttl) in VIEWS.items():
        values = (
            pl.scan_delta(f"{root}/features/{view}")
            .select(*keys, STAMP, *features)
            .sort(STAMP)
            .collect()
        )
        values = values.rename({name: f"{view}__{name}" for name in features})
        frame = frame.join_asof(
            values,
            left_on=EVENT_TIME,
            right_on=STAMP,
            by=list(keys),
            tolerance=ttl,
            check_sortedness=False,
        ).drop(STAMP, strict=False)
    return frame
