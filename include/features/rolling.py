"""Means, rates and counts over what was known before a moment, for `compute_features`.

A feature row stamped T knows what was known strictly before T and serves questions from T on. So
the rows of an interval `[start, end)` are those stamped in `(start, end]`, and consecutive
intervals, of whatever length, tile the stamps: each row is the same whichever interval computed it.
Nothing here can look ahead, whatever rows it is handed: an event counts from the first stamp after
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

import numpy as np
import polars as pl

from include.interval import Interval
from include.tables.store import TIMESTAMP, TableStore, in_window

STAMP = "event_timestamp"
Every = Literal["1h", "1d"]
STEPS: Mapping[Every, timedelta] = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}


def read_history(
    tables: TableStore, name: str, moment: str, interval: Interval, look_back: timedelta
) -> pl.DataFrame:
    """The table's rows that the interval's stamps can look back on, by the column with the moment
    at which a row became known: from `look_back` and a day before the interval to its end.
    """
    since = interval.start - look_back - timedelta(days=1)
    return tables.read(name, where=in_window(moment, since, interval.end))


def rolling_means(
    events: pl.DataFrame,
    keys: Sequence[str],
    means: Mapping[str, str],
    *,
    moment: str,
    every: Every,
    windows: Mapping[str, int],
    interval: Interval,
    look_back: timedelta,
    count: str = "rows",
) -> pl.DataFrame:
    """Per key and stamp `<mean>_<window>` and `<count>_<window>` over the last `windows[window]`
    whole hours or days before the stamp.

    `means` maps a name to the column of `events` that is averaged; of a column of 0 and 1 that is a
    rate. Nulls count for nothing; a mean over no value is null. A key has rows while it had an
    event in the look-back before the stamp; an event without a key counts for nobody. Raises
    `ValueError` for a window longer than the look-back.
    """
    longest = look_back // STEPS[every]
    for label, size in windows.items():
        if not 1 <= size <= longest:
            raise ValueError(
                f"window {label!r} is {size} times {every}; valid: 1 to {longest}, the look-back of"
                f" {look_back}"
            )
    keys = list(keys)
    # In one order: sums of floats must not depend on how the rows lie in their files.
    ordered = events.drop_nulls(keys).sort(*keys, moment, *dict.fromkeys(means.values()))
    buckets = ordered.group_by(*keys, next_stamp(every, moment), maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        *(pl.col(column).sum().alias(f"sum {name}") for name, column in means.items()),
        *(pl.col(column).count().alias(f"count {name}") for name, column in means.items()),
    )
    grid = stamp_grid(buckets, keys, every, interval, look_back).sort(*keys, STAMP)
    stamps = grid[STAMP].n_unique()
    counted = grid.with_columns(
        _rolling_sum(grid, "rows", longest, stamps).alias("alive"),
        *(_rolling_sum(grid, "rows", n, stamps).alias(f"{count}_{w}") for w, n in windows.items()),
        *(
            _mean(_rolling_sum(grid, f"sum {name}", size, stamps), count_of_values).alias(
                f"{name}_{label}"
            )
            for name in means
            for label, size in windows.items()
            for count_of_values in [_rolling_sum(grid, f"count {name}", size, stamps)]
        ),
    )
    rows = counted.filter(stamped_in(interval) & (pl.col("alive") > 0))
    columns = [f"{name}_{label}" for name in (*means, count) for label in windows]
    return rows.select(*keys, STAMP, *columns)


def next_stamp(every: Every, moment: str) -> pl.Expr:
    """The first stamp of which `moment` is strictly before: the start of the next hour or day."""
    return pl.col(moment).dt.truncate(every).dt.offset_by(every).alias(STAMP)


def stamped_in(interval: Interval) -> pl.Expr:
    """The rows that the interval computes: those stamped in `(start, end]`."""
    return (pl.col(STAMP) > interval.start) & (pl.col(STAMP) <= interval.end)


def stamp_grid(
    buckets: pl.DataFrame,
    keys: Sequence[str],
    every: Every,
    interval: Interval,
    look_back: timedelta,
) -> pl.DataFrame:
    """`buckets` with a row for every key and every stamp from the look-back on, values null where
    there was nothing; rows with other stamps are left out.
    """
    first, last = (
        pl.Series([moment]).dt.truncate(every)[0]
        for moment in (interval.start - look_back, interval.end)
    )
    stamps = (
        pl.datetime_range(first, last, every, time_zone="UTC", time_unit="us", eager=True)
        .cast(TIMESTAMP)
        .alias(STAMP)
        .to_frame()
    )
    grid = buckets.select(keys).unique().join(stamps, how="cross")
    return grid.join(buckets, on=[*keys, STAMP], how="left")


def _mean(total: pl.Series, count: pl.Series) -> pl.Series:
    values = total.to_frame("total").with_columns(count.alias("count"))
    mean = pl.when(pl.col("count") > 0).then(pl.col("total") / pl.col("count"))
    return values.select(mean.alias("mean")).to_series()


def _rolling_sum(grid: pl.DataFrame, name: str, size: int, stamps: int) -> pl.Series:
    """The sums over each stamp's last `size` buckets, of a grid sorted by key and stamp.

    Each is added up by itself, the newest bucket first: a running sum of floats would depend on
    where it began, and the same row would differ between intervals.
    """
    filled = grid[name].fill_null(0)
    values = filled.to_numpy().reshape(-1, max(stamps, 1))
    total = np.zeros_like(values)
    for age in range(min(size, values.shape[1])):
        total[:, age:] += values[:, : values.shape[1] - age]
    return pl.Series(name, total.ravel(), dtype=filled.dtype)
