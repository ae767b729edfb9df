"""What is computed of state_births: the feature rows of an interval."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.features.rolling import read_history, rolling_means
from include.interval import Interval
from include.tables.store import TableStore

LOOK_BACK = timedelta(days=28)


def compute_features(tables: TableStore, interval: Interval) -> dict[str, pl.DataFrame]:
    """Feature view -> its rows stamped in `(start, end]`, each of what was known before."""
    labels = read_history(tables, "raw/state_births_labels", "known_at", interval, LOOK_BACK)
    return {
        "state_births_by_state": rolling_means(
            labels,
            ["state"],
            {"births_mean": "births"},
            moment="known_at",
            every="1d",
            windows={"7d": 7, "28d": 28},
            interval=interval,
            look_back=LOOK_BACK,
        ).drop("rows_7d", "rows_28d"),
    }
