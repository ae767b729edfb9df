"""Facts of a replayed month, read back from the tables and the ledger that the DAGs wrote: nothing
is counted twice or made up.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore, in_window
from include.triggers.causes import Cause, read_causes


def scored(use_case: UseCase, tables: TableStore, interval: Interval) -> int:
    """Rows of the predictions table in the interval."""
    window = in_window(use_case.event_time, interval.start, interval.end)
    return tables.read(
        f"{use_case.name}/predictions", columns=[use_case.event_time], where=window
    ).height


def monitored(use_case: UseCase, tables: TableStore, interval: Interval) -> dict[str, Any]:
    """The row that monitoring wrote for the interval."""
    rows = tables.read(
        f"{use_case.name}/monitoring", where=pl.col("interval_start") == interval.start
    )
    return rows.row(0, named=True)


def training_decision(use_case: UseCase, tables: TableStore, run_id: str) -> dict[str, Any] | None:
    """The recorded decision of one training run, or `None` when it recorded none."""
    name = f"{use_case.name}/trainings"
    if not tables.exists(name):
        return None
    rows = tables.read(name, where=pl.col("run_id") == run_id)
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    return {**row, "reasons": json.loads(row["reasons_json"])}


def alarm_cause(use_case: UseCase, settings: Settings, monitoring_run: str) -> Cause | None:
    """The cause that a monitoring run recorded for its alarm: pending, consumed by a training, or
    suppressed with the reason.
    """
    causes = read_causes(settings, use_case.name)
    return next(
        (
            cause
            for cause in causes
            if cause.kind == "alarm" and cause.source_run_id == monitoring_run
        ),
        None,
    )


def month_row(
    use_case: UseCase, settings: Settings, interval: Interval, decision: str
) -> dict[str, Any]:
    """One row of the summary, without the traffic's counts."""
    tables = TableStore(settings.tables_uri)
    facts = monitored(use_case, tables, interval)
    return {
        "month": f"{interval.start:%Y-%m}",
        "flights_scored": scored(use_case, tables, interval),
        "auc": facts["auc"],
        "brier": facts["brier"],
        "drift": facts["drift"],
        "alarm": facts["verdict"] if facts["alarm"] else None,
        "decision": decision,
        "champion_version": facts["model_version"],
        "report": facts["report"],
    }
