"""What is computed of pump_faults: the feature rows of an interval."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.features.rolling import read_history, rolling_means
from include.interval import Interval
from include.tables.store import TableStore

LOOK_BACK = timedelta(days=7)


def compute_features(tables: TableStore, interval: Interval) -> dict[str, pl.DataFrame]:
    """Feature view -> its rows stamped in `(start, end]`, each of what was known before."""
    readings = read_history(tables, "raw/pump_readings", "asked_at", interval, LOOK_BACK)
    return {
        "pump_week": rolling_means(
            readings,
            ["pump"],
            {"load_mean": "load"},
            moment="asked_at",
            every="1d",
            windows={"7d": 7},
            interval=interval,
            look_back=LOOK_BACK,
        ).drop("rows_7d"),
    }
