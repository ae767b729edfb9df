"""Tables of monitoring as its runs write them, months of flights without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from include.catalogue import load_use_case
from include.interval import Interval
from include.monitoring import records
from include.monitoring.checks.base import measured
from include.monitoring.checks.effectiveness import EFFECTIVENESS
from include.monitoring.checks.estimate import ESTIMATE
from include.tables.store import TableStore
from include.verdict import Finding

FLIGHTS = load_use_case("flight_delays")
AUC, BEFORE = 0.72, 0.75


def month(number: int) -> Interval:
    """The month of 2013."""
    end = datetime(2013 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return Interval(datetime(2013, number, 1, tzinfo=UTC), end)


def write_month(
    tables: TableStore, number: int, *, labels: bool = True, bounds: bool = True, **changes: Any
) -> None:
    """One month's rows of monitoring, drift and findings; `changes` are of the first."""
    interval = month(number)
    row: dict[str, Any] = dict.fromkeys(records.MONITORING_SCHEMA)
    del row["interval_start"], row["interval_end"]
    row |= {"rows": 2000, "labelled": 1900 if labels else 0, "drift": "none", "alarm": False}
    row |= {"verdict": "none", "reasons_json": "[]", "drifted_inputs_json": "[]"}
    row |= {"model_version": 1, "labels_until": interval.end, "former_json": "[]"}
    if labels:
        row |= {"auc": AUC, "mean_score": 0.25, "observed_rate": 0.21}
    records.write_monitoring(FLIGHTS, tables, interval, {**row, **changes})
    records.write_findings(FLIGHTS, tables, interval, 1, findings(labels=labels, bounds=bounds))
    records.write_drift(FLIGHTS, tables, interval, list(map(distance, ("dest", "humidity"))))


def findings(*, labels: bool, bounds: bool) -> list[Finding]:
    """What the checks find of a month; without `bounds` as before they were written."""

    def example(*numbers: float, **more: float) -> Mapping[str, Any] | None:
        return measured(*numbers, **more) if bounds else None  # type: ignore[arg-type]

    estimated = checked(ESTIMATE, "estimated_auc", 0.74, example(0.74, 0.73, 0.75))
    if not labels:
        return [estimated]
    return [
        estimated,
        checked(ESTIMATE, "error_of_estimate", 0.02, None),
        checked(EFFECTIVENESS, "auc_drop", BEFORE - AUC, example(AUC, 0.70, 0.74, before=BEFORE)),
        checked(EFFECTIVENESS, "calibration_gap", 0.04, example(0.04, 0.01, 0.07)),
    ]


def checked(check: str, rule: str, observed: float, example: Any) -> Finding:
    return Finding(rule=rule, subject=check, observed=observed, passed=True, example=example)


def distance(column: str) -> dict[str, Any]:
    return {"column": column, "kind": "number", "effect": 0.1, "limit": 0.18, "drifted": False}


def alarmed(reason: str) -> dict[str, Any]:
    return {"alarm": True, "verdict": "performance", "reasons_json": json.dumps([reason])}
