"""The point-in-time join by DuckDB's ASOF JOIN."""

from __future__ import annotations

from typing import Any

import polars as pl

from proofs.bench.training.joins import EVENT_TIME, STAMP, VIEWS, measure
from proofs.bench.training.world import bench_settings


def join(arguments: dict[str, Any]) -> dict[str, Any]:
    """One statement with an ASOF LEFT JOIN a view, over the Parquet files of the Delta tables'
    newest versions.
    """
    import duckdb
    from deltalake import DeltaTable

    root = bench_settings().tables_uri

    def join_asof(frame: pl.DataFrame) -> pl.DataFrame:
        with duckdb.connect() as connection:
            connection.register("asked", frame.to_arrow())
            files = {view: DeltaTable(f"{root}/features/{view}").file_uris() for view in VIEWS}
            return pl.DataFrame(connection.execute(_statement(files)).to_arrow_table())

    return measure(arguments, join_asof)


def _statement(files: dict[str, list[str]]) -> str:
    """The statement; all names in it are ours."""
    columns, joins = ["asked.*"], []
    for view, (keys, features, ttl) in VIEWS.items():
        fresh = (
            "true"
            if ttl is None
            else (
                f"asked.{EVENT_TIME} - {view}.{STAMP} <= INTERVAL {int(ttl.total_seconds())} SECOND"
            )
        )
        columns += [
            f"CASE WHEN {fresh} THEN {view}.{name} END AS {view}__{name}" for name in features
        ]
        equal = " AND ".join(f"asked.{key} = {view}.{key}" for key in keys)
        joins.append(
            f"ASOF LEFT JOIN read_parquet({files[view]}) AS {view} ON {equal} AND"
            f" asked.{EVENT_TIME} >= {view}.{STAMP}"
        )
    return f"SELECT {', '.join(columns)} FROM asked {' '.join(joins)}"  # noqa: S608  # names and paths of this module and the store
