"""What monitoring leaves behind: Delta tables for programs, and a folder of JSON and HTML per
interval for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.errors import RegistryError
from include.files import write
from include.interval import Interval
from include.monitoring.checks.base import Before
from include.monitoring.checks.distribution import DISTRIBUTION, MOVED
from include.monitoring.decay import BOUNDS
from include.problems.registry import strategy_of
from include.registry.client import connect
from include.registry.versions import version as registered_version
from include.reports import share
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore, TableVersion
from include.verdict import Finding

MONITORING_SCHEMA: dict[str, Any] = {
    "interval_start": TIMESTAMP,
    "interval_end": TIMESTAMP,
    "rows": pl.Int64,
    "labelled": pl.Int64,
    "auc": pl.Float64,
    "brier": pl.Float64,
    "logloss": pl.Float64,
    "mean_score": pl.Float64,
    "observed_rate": pl.Float64,
    "drift": pl.String,
    "drifted_inputs_json": pl.String,
    "alarm": pl.Boolean,
    "verdict": pl.String,
    "reasons_json": pl.String,
    "model_version": pl.Int64,
    "report": pl.String,
    "online_rows": pl.Int64,
    "online_auc": pl.Float64,
    "parity_max_difference": pl.Float64,
    "labels_until": TIMESTAMP,
    "former_json": pl.String,
    **dict.fromkeys(BOUNDS, pl.Float64),
}

DRIFT_SCHEMA: dict[str, Any] = {
    "interval_start": TIMESTAMP,
    "column": pl.String,
    "kind": pl.String,
    "psi": pl.Float64,
    "effect": pl.Float64,
    "corrected_p": pl.Float64,
    "limit": pl.Float64,
    "drifted": pl.Boolean,
    "rows": pl.Int64,
}

FINDINGS_SCHEMA: dict[str, Any] = {
    "interval_start": TIMESTAMP,
    "interval_end": TIMESTAMP,
    "model_version": pl.Int64,
    "check": pl.String,
    "rule": pl.String,
    "part": pl.String,
    "observed": pl.Float64,
    "limit": pl.Float64,
    "outcome": pl.String,
    "reason": pl.String,
    "detail_json": pl.String,
}


def log_report(settings: Settings, use_case: UseCase, interval: Interval, version: int) -> str:
    """Log the interval's report folder to the MLflow run of the version that scored; the artefacts'
    path, or why there is none. A report that MLflow does not take keeps nothing from being decided.
    """
    from mlflow.exceptions import MlflowException

    path = f"monitoring/{interval.label}"
    try:
        run_id = registered_version(settings, use_case, version).run_id
        folder = str(report_folder(settings, use_case, interval))
        connect(settings).log_artifacts(run_id, folder, path)
    except (MlflowException, RegistryError, OSError) as error:
        return f"not logged: {error}"
    return f"runs:/{run_id}/{path}"


def report_folder(settings: Settings, use_case: UseCase, interval: Interval) -> Path:
    """`reports/monitoring/<use_case>/<interval label>`."""
    return settings.reports_dir / "monitoring" / use_case.name / interval.label


def write_json(settings: Settings, folder: Path, name: str, content: Mapping[str, Any]) -> Path:
    """Write `<folder>/<name>` whole or not at all, and share it with other hosts."""
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    return write_text(settings, folder, name, text)


def write_text(settings: Settings, folder: Path, name: str, content: str) -> Path:
    """Write `<folder>/<name>`, and share it with other hosts; a reader never sees half of it."""
    write(folder / name, content)
    share(settings, folder / name)
    return folder / name


def write_monitoring(
    use_case: UseCase, tables: TableStore, interval: Interval, row: Mapping[str, Any]
) -> TableVersion:
    """The one row of the interval in `<use_case>/monitoring`;

    `row` holds every column of `monitoring_schema` but the interval's.
    """
    full = {"interval_start": interval.start, "interval_end": interval.end, **row}
    frame = pl.DataFrame([full], schema=monitoring_schema(use_case))
    return _replace(tables, f"{use_case.name}/monitoring", frame, interval)


def monitoring_schema(use_case: UseCase) -> dict[str, Any]:
    """The columns of `<use_case>/monitoring`: the same for every use case, and the metrics of its
    problem.
    """
    metrics = strategy_of(use_case).monitored_metrics
    return {**MONITORING_SCHEMA, **dict.fromkeys(metrics, pl.Float64)}


def write_drift(
    use_case: UseCase, tables: TableStore, interval: Interval, columns: Sequence[Mapping[str, Any]]
) -> TableVersion:
    """One row per input and one for the score in `<use_case>/drift`."""
    rows = [
        {
            "interval_start": interval.start,
            **{name: column.get(name) for name in DRIFT_SCHEMA if name in column},
        }
        for column in columns
    ]
    frame = pl.DataFrame(rows, schema=DRIFT_SCHEMA)
    return _replace(tables, f"{use_case.name}/drift", frame, interval)


def write_findings(
    use_case: UseCase,
    tables: TableStore,
    interval: Interval,
    version: int,
    findings: Sequence[Finding],
) -> TableVersion:
    """One row per finding of the checks in `<use_case>/findings`; what was observed and is no
    number stands in the reason.
    """
    rows = [
        {
            "interval_start": interval.start,
            "interval_end": interval.end,
            "model_version": version,
            "check": item.subject,
            "rule": item.rule,
            "part": item.part,
            "observed": _number(item.observed),
            "limit": _number(item.limit),
            "outcome": item.outcome,
            "reason": item.reason,
            "detail_json": json.dumps(item.example or {}, sort_keys=True),
        }
        for item in findings
    ]
    frame = pl.DataFrame(rows, schema=FINDINGS_SCHEMA)
    return _replace(tables, f"{use_case.name}/findings", frame, interval)


def read_before(use_case: UseCase, tables: TableStore, start: datetime) -> Before:
    """What moved in each window that began before, the newest last, as many as may count."""
    name = f"{use_case.name}/findings"
    before = use_case.monitoring.sliding_windows - 1
    if not before or not tables.exists(name):
        return Before()
    where = (
        (pl.col("interval_start") < pl.lit(start, dtype=TIMESTAMP))
        & (pl.col("check") == DISTRIBUTION)
        & (pl.col("rule") == MOVED)
    )
    columns = ["interval_start", "part", "observed", "detail_json"]
    rows = tables.read(name, columns=columns, where=where)
    parts = [
        rows.filter(pl.col("interval_start") == begun)
        for begun in sorted(rows["interval_start"].unique())[-before:]
    ]
    limit = use_case.monitoring.drift_effect
    return Before(
        moved=tuple(_moved(part, 0.0) for part in parts),
        far=tuple(_moved(part, limit) for part in parts),
    )


def _moved(rows: pl.DataFrame, least: float) -> frozenset[str]:
    """The columns of the rows that moved in their window, by at least so much."""
    return frozenset(
        row["part"]
        for row in rows.iter_rows(named=True)
        if json.loads(row["detail_json"])["now"] and row["observed"] >= least
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _replace(
    tables: TableStore, name: str, frame: pl.DataFrame, interval: Interval
) -> TableVersion:
    """The rows that begin exactly at this interval's start, whatever other intervals lie inside
    it.
    """
    end = interval.start + timedelta(microseconds=1)
    return tables.replace_window(
        name, frame, time_column="interval_start", start=interval.start, end=end
    )
