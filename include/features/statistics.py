"""Statistics of feature values, one row for each interval and feature, in a Delta table beside the
feature view's own: `feature_statistics/<view>`, which the view names in Feast by its tag
`statistics`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from include.interval import Interval
from include.tables.fence import Fence
from include.tables.store import TIMESTAMP, TableStore, TableVersion

FOLDER = "feature_statistics"
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
NAMES = ("low", "q05", "q25", "median", "q75", "q95", "high")
"""The columns of these quantiles."""
MOST_VALUES = 5
"""So many of the commonest values of a text are kept, with their shares."""
INSTANT = timedelta(microseconds=1)
SCHEMA: dict[str, Any] = {
    "interval_start": TIMESTAMP,
    "interval_end": TIMESTAMP,
    "feature": pl.String,
    "kind": pl.String,
    "rows": pl.Int64,
    "nulls": pl.Int64,
    "mean": pl.Float64,
    "sd": pl.Float64,
    **dict.fromkeys(NAMES, pl.Float64),
    "top_json": pl.String,
}


def statistics_table(view: str) -> str:
    """The table with the statistics of a view's features."""
    return f"{FOLDER}/{view}"


def describe(frame: pl.DataFrame, features: Sequence[str], interval: Interval) -> pl.DataFrame:
    """One row for each feature of the interval's rows, by `SCHEMA`. NaN counts as null; a number
    has mean, standard deviation and quantiles, a text its commonest values as JSON.
    """
    rows = [
        {
            "interval_start": interval.start,
            "interval_end": interval.end,
            "feature": name,
            "rows": frame.height,
            **_described(frame[name]),
        }
        for name in features
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def write_statistics(
    tables: TableStore, view: str, described: pl.DataFrame, interval: Interval, fence: Fence
) -> TableVersion:
    """Make the interval's rows exactly these; no new version where they are there already."""
    return tables.replace_window(
        statistics_table(view),
        described,
        time_column="interval_start",
        start=interval.start,
        end=interval.start + INSTANT,
        fence=fence,
    )


def read_statistics(tables: TableStore, view: str, last: int = 1) -> pl.DataFrame:
    """The rows of the newest `last` intervals, oldest first; none where nothing was computed."""
    name = statistics_table(view)
    if not tables.exists(name):
        return pl.DataFrame(schema=SCHEMA)
    rows = tables.read(name).sort("interval_start", maintain_order=True)
    newest = rows["interval_start"].unique().sort()[-last:]
    return rows.filter(pl.col("interval_start").is_in(newest.implode()))


def _described(values: pl.Series) -> dict[str, Any]:
    dtype = values.dtype
    if dtype.is_numeric() or dtype == pl.Boolean:
        return _number(values.cast(pl.Float64))
    kind = "time" if dtype.is_temporal() else "text"
    shared = {"kind": kind, "nulls": values.null_count()}
    return shared if kind == "time" else {**shared, "top_json": _top(values)}


def _number(values: pl.Series) -> dict[str, Any]:
    present = values.fill_nan(None).drop_nulls()
    quantiles = {
        name: present.quantile(share, "linear")
        for name, share in zip(NAMES, QUANTILES, strict=True)
    }
    return {
        "kind": "number",
        "nulls": len(values) - len(present),
        "mean": present.mean(),
        "sd": present.std(),
        **quantiles,
    }


def _top(values: pl.Series) -> str:
    name = values.name
    counts = values.drop_nulls().cast(pl.String).value_counts()
    common = counts.sort(["count", name], descending=[True, False]).head(MOST_VALUES)
    shares = {text: count / len(values) for text, count in common.iter_rows()}
    return json.dumps(shares)
