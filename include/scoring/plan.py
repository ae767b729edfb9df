"""The plan of a batch scoring: which partitions, with which model, from which versions of which
tables.

It is plain JSON, made once per run; every partition is scored by it, wherever and however often.
Its `scoring` ends in a digest of all that decides the scores, so a second attempt finds what the
first one has left, and another model or newer tables never meet it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from include.errors import EmptyWindow
from include.interval import Interval
from include.registry.versions import RegisteredVersion
from include.scoring.batch import check_ids, predictions_table
from include.spec import UseCase
from include.tables.store import TableStore, in_window

GRAIN = "1m"
UNIQUE_ROWS = 1_000_000


def make_plan(
    use_case: UseCase, tables: TableStore, interval: Interval, registered: RegisteredVersion
) -> dict[str, Any]:
    """`{"scoring", "interval", "version", "digest", "mlflow_run_id", "sources", "rows",
    "partitions", "publications"}`.

    A partition is `{"number", "start", "end", "rows"}`; together they cover the interval without
    gap or overlap. `sources` maps every table that is read to its version. Raises `EmptyWindow`
    without rows, `DataError` when an id is missing or comes twice.
    """
    sources = {
        name: tables.version(name)
        for name in (use_case.entity_table, *(part.table for part in use_case.feature_tables))
    }
    partitions = list(_partitions(use_case, tables, interval, sources[use_case.entity_table]))
    rows = sum(part["rows"] for part in partitions)
    _check_all_ids(use_case, tables, interval, sources[use_case.entity_table], rows)
    decides = {
        "use_case": use_case.name,
        "interval": interval.as_json(),
        "version": registered.version,
        "digest": registered.digest,
        "sources": sources,
        "partitions": partitions,
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:20]
    return {
        **decides,
        "scoring": f"{interval.label}.{digest}",
        "mlflow_run_id": registered.run_id,
        "rows": rows,
        "publications": publications(use_case, tables, interval),
    }


def publications(use_case: UseCase, tables: TableStore, interval: Interval) -> int:
    """How often predictions of the interval have been published: the fence of the next
    publication.
    """
    return max(tables.offset(predictions_table(use_case), publication_mark(interval)), 0)


def publication_mark(interval: Interval) -> str:
    """Under which name the table of predictions counts them."""
    return f"scoring {interval.label}"


def view_versions(use_case: UseCase, plan: Mapping[str, Any]) -> dict[str, int]:
    """The plan's version of every feature view's table, by view."""
    return {part.view: plan["sources"][part.table] for part in use_case.feature_tables}


def partition_interval(partition: Mapping[str, Any]) -> Interval:
    """The slice of event time that a partition covers."""
    return Interval.parse(partition["start"], partition["end"])


def _partitions(
    use_case: UseCase, tables: TableStore, interval: Interval, version: int
) -> Iterator[dict[str, Any]]:
    """Whole minutes, as many as fit:

    `partition_rows` is passed only where a single minute passes it.
    """
    moment = pl.col(use_case.event_time)
    window = in_window(use_case.event_time, interval.start, interval.end)
    minutes = (
        tables.scan(use_case.entity_table, version=version)
        .filter(window)
        .group_by(moment.dt.truncate(GRAIN).alias("minute"))
        .len()
    )
    counted = minutes.collect(engine="streaming").sort("minute")
    if counted.height == 0:
        name = use_case.entity_table
        raise EmptyWindow(
            f"{name} holds no row with {use_case.event_time} in [{interval.start}, {interval.end}):"
            " nothing to score."
        )
    start, rows, number = interval.start, 0, 0
    for minute, count in counted.iter_rows():
        if rows and rows + count > use_case.batch.partition_rows:
            yield {
                "number": number,
                "start": start.isoformat(),
                "end": minute.isoformat(),
                "rows": rows,
            }
            start, rows, number = minute, 0, number + 1
        rows += count
    yield {
        "number": number,
        "start": start.isoformat(),
        "end": interval.end.isoformat(),
        "rows": rows,
    }


def _check_all_ids(
    use_case: UseCase, tables: TableStore, interval: Interval, version: int, rows: int
) -> None:
    """Every id once over all partitions, a share of the ids at a time: memory must not grow with
    the interval.
    """
    window = in_window(use_case.event_time, interval.start, interval.end)
    shares = -(-rows // UNIQUE_ROWS)
    for share in range(shares):
        selected = (
            pl.lit(value=True)
            if shares == 1
            else pl.col(use_case.id_column).hash() % shares == share
        )
        scanned = (
            tables.scan(use_case.entity_table, version=version).filter(window).filter(selected)
        )
        check_ids(
            use_case,
            scanned.select(use_case.id_column).collect(engine="streaming")[use_case.id_column],
            interval,
        )
