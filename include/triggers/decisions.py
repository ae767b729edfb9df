"""Every training decision as one row of the Delta table `<use_case>/trainings`: accepted or
refused, why, from which trigger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from include.settings import Settings
from include.spec import UseCase
from include.steps import StepContext
from include.tables.completed import completed_until
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore
from include.triggers.causes import causes_of_run, consume_taken

ACCEPTED = "accepted"
REFUSED = "refused"

SCHEMA: dict[str, Any] = {
    "run_id": pl.String,
    "interval_start": TIMESTAMP,
    "interval_end": TIMESTAMP,
    "trigger": pl.String,
    "causes_json": pl.String,
    "decision": pl.String,
    "reasons_json": pl.String,
    "mlflow_run_id": pl.String,
    "version": pl.Int64,
    "champion_version_before": pl.Int64,
    "metrics_json": pl.String,
    "rows": pl.Int64,
    "data_until": TIMESTAMP,
}
INGEST = "ingest"


def table_name(use_case: UseCase) -> str:
    """`<use_case>/trainings`."""
    return f"{use_case.name}/trainings"


def record_decision(
    context: StepContext,
    *,
    decision: str,
    reasons: Sequence[str],
    mlflow_run_id: str,
    version: int | None,
    champion_before: int | None,
    metrics: Mapping[str, float],
    rows: int | None = None,
) -> None:
    """Write the run's row, or replace the one that it has. The same row again makes no new version
    of the table.

    `rows` is the size of the training set. `causes_json` holds every cause that the run has
    consumed; they are consumed for good with this. `data_until` is the end of the data that the run
    could have read: the end of its interval, or of what was ingested where the interval ends later.
    """
    ingested = completed_until(
        TableStore(context.settings.tables_uri), context.use_case.name, INGEST
    )
    end = context.interval.end
    row = pl.DataFrame(
        {
            "run_id": [context.run.run_id],
            "interval_start": [context.interval.start],
            "interval_end": [context.interval.end],
            "trigger": [context.run.trigger],
            "causes_json": [json.dumps(causes_of_run(context), default=str)],
            "decision": [decision],
            "reasons_json": [json.dumps(list(reasons))],
            "mlflow_run_id": [mlflow_run_id],
            "version": [version],
            "champion_version_before": [champion_before],
            "metrics_json": [json.dumps(dict(metrics), sort_keys=True)],
            "rows": [rows],
            "data_until": [end if ingested is None else min(end, ingested)],
        },
        schema=SCHEMA,
    )
    _ledger(context.use_case, context.settings).upsert(row)
    consume_taken(context)


def read_decisions(use_case: UseCase, settings: Settings) -> pl.DataFrame:
    """All rows by the end of the data that was read; an empty frame with the same columns before
    the first decision.
    """
    rows = _ledger(use_case, settings).read()
    read_until = pl.coalesce("data_until", "interval_end").alias("data_until")
    return rows.with_columns(read_until).sort("data_until", "interval_end", "run_id")


def _ledger(use_case: UseCase, settings: Settings) -> Ledger:
    return Ledger(TableStore(settings.tables_uri), table_name(use_case), SCHEMA, key=("run_id",))
