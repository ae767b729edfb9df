"""What is computed of storm_status: the feature rows of an interval."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.features.rolling import STAMP, read_history, stamped_in
from include.interval import Interval
from include.tables.store import TableStore

LOOK_BACK = timedelta(days=5 * 366)


def compute_features(tables: TableStore, interval: Interval) -> dict[str, pl.DataFrame]:
    """How often a storm in the box was a hurricane a day later, in the five years before."""
    labels = read_history(tables, "raw/storm_status_labels", "known_at", interval, LOOK_BACK)
    year = pl.col("known_at").dt.year()
    share = (pl.col("status_next_day") == "hurricane").mean().alias("hurricane_share")
    seasons = labels.with_columns(pl.int_ranges(year + 1, year + 6).alias("season"))
    rows = seasons.explode("season").group_by("box", "season").agg(share).sort("season", "box")
    stamped = rows.with_columns(pl.datetime("season", 1, 1, time_zone="UTC").alias(STAMP))
    return {"storms_by_box": stamped.filter(stamped_in(interval)).drop("season")}
