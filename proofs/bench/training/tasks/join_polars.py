"""The point-in-time join by Polars' `join_asof`, by hand."""

from __future__ import annotations

from typing import Any

import polars as pl

from proofs.bench.training.joins import EVENT_TIME, STAMP, VIEWS, measure
from proofs.bench.training.world import bench_settings


def join(arguments: dict[str, Any]) -> dict[str, Any]:
    """One `join_asof` after the other."""
    root = bench_settings().tables_uri

    def join_asof(frame: pl.DataFrame) -> pl.DataFrame:
        result = frame.with_row_index("__row").sort(EVENT_TIME)
        for view, (keys, features, ttl) in VIEWS.items():
            values = (
                pl.scan_delta(f"{root}/features/{view}")
                .select(*keys, STAMP, *features)
                .sort(STAMP)
                .collect()
            )
            values = values.rename({name: f"{view}__{name}" for name in features}).drop_nulls(
                list(keys)
            )
            result = result.join_asof(
                values,
                left_on=EVENT_TIME,
                right_on=STAMP,
                by=list(keys),
                tolerance=ttl,
                check_sortedness=False,
            ).drop(STAMP, strict=False)
        return result.sort("__row").drop("__row")

    return measure(arguments, join_asof)
