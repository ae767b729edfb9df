"""Storms that are made up, as many as are asked for, and one model's package of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.catalogue import load_use_case
from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.training.package import train_package
from proofs.bench.scale.project import PLAIN

START = datetime(2010, 1, 1, tzinfo=UTC)
WINDOW = Interval(START, START + timedelta(days=3650))
MINUTES = 3600 * 24 * 60
SNAPSHOT = {"name": "storms/snapshots/x", "uri": "tables/x", "version": 0, "digest": "0" * 64}


def storms(rows: int, seed: int = 7) -> pl.DataFrame:
    """Rows of the plain use case in the order of time: what a storm becomes follows wind, pressure
    and place.
    """
    random = np.random.default_rng(seed)
    wind = random.integers(20, 160, rows)
    pressure = (1020 - 0.5 * wind + random.normal(0, 8, rows)).astype(np.int64)
    # Continuous inputs have more values than bins: what a bin is depends on the way to fit.
    north, west = random.uniform(5, 60, rows), random.uniform(-100, 0, rows)
    strength = wind + random.normal(0, 15, rows) - 0.3 * (pressure - 980) - 0.9 * north + 0.3 * west
    names = np.array(["depression", "low", "storm", "hurricane", "extratropical", "gone"])
    minutes = np.sort(random.integers(0, MINUTES, rows))
    observed = pl.Series(int(START.timestamp()) + minutes * 60).cast(pl.Int64) * 1_000_000
    frame = pl.DataFrame(
        {
            "row_id": pl.Series(np.arange(rows)).cast(pl.String),
            "observed_at": observed.cast(pl.Datetime("us", "UTC")),
            "box": pl.Series(random.integers(0, 400, rows)).cast(pl.String),
            "lat": north,
            "long": west,
            "status": names[random.integers(0, 6, rows)],
            "wind": wind,
            "wind_change": random.integers(-30, 30, rows),
            "pressure": pressure,
            "status_next_day": names[np.digitize(strength, [0, 20, 45, 80, 105])],
        }
    )
    return frame.with_columns((pl.col("observed_at") + timedelta(days=1)).alias("known_at"))


def plain_case(number: int, **training: Any) -> UseCase:
    """One of the project's plain use cases with other values of its training."""
    use_case = load_use_case(f"{PLAIN}_{number:04d}")
    return use_case.model_copy(update={"training": use_case.training.model_copy(update=training)})


def train(
    use_case: UseCase, settings: Settings, splits: Mapping[str, pl.DataFrame]
) -> tuple[Path, str]:
    """A package's folder and digest."""
    context = StepContext(use_case, settings, WINDOW, RunInfo("training", "bench"))
    parameters = dict(use_case.training.parameters)
    folder, digest, _ = train_package(context, splits, parameters, SNAPSHOT, "unknown")
    return folder, digest
