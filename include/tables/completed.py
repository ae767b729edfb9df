"""Which intervals a process has finished: the fact that later processes wait for.

Airflow's asset events collapse and can stall, so they are hints; this table is what is believed.
One row per finished run of a process; a repeated run adds nothing. Cheap to import: a sensor polls
it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.interval import Interval
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore

if TYPE_CHECKING:
    import polars as pl


def intervals_table(use_case_name: str) -> str:
    """The table of a use case's finished intervals."""
    return f"{use_case_name}/intervals"


def mark_complete(
    tables: TableStore,
    use_case_name: str,
    process: str,
    interval: Interval,
    evidence: dict[str, Any],
) -> None:
    """Record that `process` has finished `interval`; `evidence` (JSON) says what it left, e.g.
    table versions.

    Processes may record at the same time. The same interval with the same evidence is recorded
    once.
    """
    import polars as pl

    schema: dict[str, Any] = {
        "process": pl.String,
        "interval_start": TIMESTAMP,
        "interval_end": TIMESTAMP,
        "evidence_json": pl.String,
    }
    row = {
        "process": process,
        "interval_start": interval.start.astimezone(UTC),
        "interval_end": interval.end.astimezone(UTC),
        "evidence_json": json.dumps(evidence, sort_keys=True),
    }
    ledger = Ledger(tables, intervals_table(use_case_name), schema, key=tuple(schema))
    ledger.add(pl.DataFrame([row], schema=schema))


def is_complete(tables: TableStore, use_case_name: str, process: str, interval: Interval) -> bool:
    """Whether the intervals recorded for `process` cover `interval` without a gap."""
    return not missing(tables, use_case_name, process, interval)


def completed_until(tables: TableStore, use_case_name: str, process: str) -> datetime | None:
    """The latest end of an interval that `process` has finished; None before the first."""
    import polars as pl

    if not tables.exists(intervals_table(use_case_name)):
        return None
    recorded = tables.read(intervals_table(use_case_name), where=pl.col("process") == process)
    latest = recorded["interval_end"].max()
    return latest if isinstance(latest, datetime) else None


def has_written(tables: TableStore, use_case_name: str, table: str) -> bool:
    """Whether a finished interval of the use case left a version of the table."""
    if not tables.exists(intervals_table(use_case_name)):
        return False
    recorded = tables.read(intervals_table(use_case_name), columns=["evidence_json"])
    left = (json.loads(text).get("tables", {}) for text in recorded["evidence_json"])
    return any(version["name"] == table for versions in left for version in versions.values())


def missing(
    tables: TableStore, use_case_name: str, process: str, interval: Interval
) -> list[Interval]:
    """The parts of `interval` that `process` has not finished, in order."""
    reached = interval.start
    gaps: list[Interval] = []
    for start, end in _spans(tables, use_case_name, process, interval):
        if start > reached:
            gaps.append(Interval(reached, min(start, interval.end)))
        reached = max(reached, end)
        if reached >= interval.end:
            return gaps
    return [*gaps, Interval(reached, interval.end)]


def _spans(
    tables: TableStore, use_case_name: str, process: str, interval: Interval
) -> list[tuple[datetime, datetime]]:
    if not tables.exists(intervals_table(use_case_name)):
        return []
    rows = (
        _recorded(tables, use_case_name, process, interval)
        .select("interval_start", "interval_end")
        .unique()
        .sort("interval_start")
    )
    return [(start, end) for start, end in rows.iter_rows()]


def _recorded(
    tables: TableStore, use_case_name: str, process: str, interval: Interval
) -> pl.DataFrame:
    """The recorded rows of the process that overlap the interval."""
    import polars as pl

    overlaps = (pl.col("interval_end") > interval.start) & (pl.col("interval_start") < interval.end)
    return tables.read(
        intervals_table(use_case_name), where=(pl.col("process") == process) & overlaps
    )
