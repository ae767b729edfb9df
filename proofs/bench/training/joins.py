"""The point-in-time join three ways over the same tables and rows: ours, DuckDB's ASOF JOIN,
Polars' join_asof by hand.

Each variant reads the feature tables itself within its time; the entity rows are given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.catalogue import load_use_case
from include.tables.store import frame_digest
from proofs.bench.child import peak_mb
from proofs.bench.training.world import USE_CASE, bench_settings

# Written out by hand, as a script without a feature store would: view -> keys, features, time to
# live.
VIEWS: dict[str, tuple[tuple[str, ...], tuple[str, ...], timedelta | None]] = {
    "carrier_daily": (("carrier",), ("late_rate_7d", "late_rate_28d"), timedelta(days=3)),
    "route_daily": (
        ("origin", "dest"),
        ("late_rate_28d", "arrivals_28d", "distance"),
        timedelta(days=3),
    ),
    "origin_hourly": (("origin",), ("late_rate_6h", "late_rate_24h"), timedelta(hours=6)),
    "weather_hourly": (
        ("origin",),
        ("temperature", "humidity", "wind_speed", "precipitation", "pressure", "visibility"),
        timedelta(hours=6),
    ),
    "plane": (("tailnum",), ("built_year", "seats"), None),
}
CALLS, MANY_ROWS = 3, 1_000_000
EVENT_TIME, STAMP = "asked_at", "event_timestamp"


def ours(arguments: dict[str, Any]) -> dict[str, Any]:
    """`include.features.retrieval.point_in_time`, with the definitions from Feast's registry."""
    from include.features.retrieval import point_in_time

    settings, use_case = bench_settings(), load_use_case(USE_CASE)
    return measure(arguments, lambda frame: point_in_time(use_case, frame, settings))


def polars_asof(arguments: dict[str, Any]) -> dict[str, Any]:
    """One `join_asof` after the other."""
    root = bench_settings().tables_uri

    def join(frame: pl.DataFrame) -> pl.DataFrame:
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

    return measure(arguments, join)


def duckdb_asof(arguments: dict[str, Any]) -> dict[str, Any]:
    """One statement with an ASOF LEFT JOIN a view, over the Parquet files of the Delta tables'
    newest versions.
    """
    import duckdb
    from deltalake import DeltaTable

    root = bench_settings().tables_uri

    def join(frame: pl.DataFrame) -> pl.DataFrame:
        with duckdb.connect() as connection:
            connection.register("asked", frame.to_arrow())
            files = {view: DeltaTable(f"{root}/features/{view}").file_uris() for view in VIEWS}
            return pl.DataFrame(connection.execute(_statement(files)).to_arrow_table())

    return measure(arguments, join)


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


def measure(
    arguments: dict[str, Any], join: Callable[[pl.DataFrame], pl.DataFrame]
) -> dict[str, Any]:
    """`first` is the first call of the process, `seconds` the fastest of the next `CALLS`; the
    digest is of the rows by id.
    """
    entities = pl.read_parquet(Path(arguments["path"]))
    frame, first = _timed(join, entities)
    peak, seconds = peak_mb(), float("inf")
    for _ in range(1 if entities.height > MANY_ROWS else CALLS):
        del frame
        frame, again = _timed(join, entities)
        seconds = min(seconds, again)
    answer: dict[str, Any] = {
        "seconds": seconds,
        "first": first,
        "peak_mb": peak,
        "rows": frame.height,
    }
    if arguments.get("digest"):
        answer["digest"] = _digest(frame)
    return answer


def _timed(
    join: Callable[[pl.DataFrame], pl.DataFrame], entities: pl.DataFrame
) -> tuple[pl.DataFrame, float]:
    started = time.perf_counter()
    frame = join(entities)
    return frame, time.perf_counter() - started


def _digest(frame: pl.DataFrame) -> str:
    columns = sorted(name for name in frame.columns if "__" in name)
    return frame_digest(
        frame.select("flight_id", *(pl.col(name).cast(pl.Float64) for name in columns))
    )
