"""Records of a version of which everything is on record, for tests that take one thing away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from include.experiments.runs import Training
from include.interval import Interval
from include.ml_test_score.records import JUnitRun, Pipeline, Records, Review, Sent
from include.monitoring.overview.series import Measured, WindowFacts
from include.release.ledger import Entry
from include.spec import UseCase
from include.use_cases.flight_delays.spec import USE_CASE

COMMIT = "c0ffee" * 6 + "c0ff"
START = datetime(2013, 7, 1, tzinfo=UTC)
TRAINED_ON = Interval(datetime(2013, 4, 1, tzinfo=UTC), START)


def training(version: int, **changes: Any) -> Training:
    """A registered training of this version."""
    fields: dict[str, Any] = {
        "use_case": USE_CASE.name,
        "run_id": f"run {version}",
        "mlflow_run_id": f"{version:032x}",
        "decision": "accepted",
        "status": "FINISHED",
        "version": version,
        "started": START,
        "interval_start": TRAINED_ON.start.isoformat(),
        "interval_end": TRAINED_ON.end.isoformat(),
        "kinds": ("alarm",),
        "by": "airflow",
        "snapshot": "flight_delays@3",
        "snapshot_digest": "d" * 64,
        "commit": COMMIT,
        "reasons": (),
        "parameters": {},
        "metrics": {},
        "tags": {},
    }
    return Training(**{**fields, **changes})


def window(version: int, month: int, auc: float | None, **changes: Any) -> WindowFacts:
    """A month that this version scored."""
    start = START + timedelta(days=30 * month)
    fields: dict[str, Any] = {
        "interval": Interval(start, start + timedelta(days=30)),
        "version": version,
        "rows": 1000,
        "labelled": 900,
        "verdict": "none",
        "alarm": False,
        "reasons": (),
        "metric": None if auc is None else Measured(auc),
        "estimated": Measured(0.7),
        "before": 0.70 + 0.01 * version,
        "worst": 0.65,
        "error": 0.0,
        "score": 0.3,
        "outcome": 0.3,
        "gap": None,
        "drifted_share": 0.0,
        "online_rows": 500,
        "report": None,
    }
    return WindowFacts(**{**fields, **changes})


def row(number: int, event: str, version: int, **changes: Any) -> Entry:
    """A row of the ledger, by a run of the deployment."""
    run = {"run": {"process": "flight_delays__deployment", "run_id": f"run {number}"}}
    fields: dict[str, Any] = {
        "recorded_at": START + timedelta(hours=number),
        "digest": "d" * 64,
        "actor": "flight_delays__deployment",
        "reason": "as planned",
        "evidence": {**run, "share": 0.05},
        "previous": "",
    }
    return Entry(
        number=number, event=event, use_case=USE_CASE.name, version=version, **{**fields, **changes}
    )


def gate(name: str, **changes: Any) -> dict[str, Any]:
    """A row of gates.json that passed."""
    fields = {"gate": name, "metric": "m", "split": "test", "slice": "", "threshold": 1.0}
    return {**fields, "observed": 0.5, "passed": True, "reason": "", **changes}


def finding(check: str, rule: str, **changes: Any) -> dict[str, Any]:
    """A finding of monitoring that passed."""
    return {
        "check": check,
        "rule": rule,
        "observed": 0.1,
        "limit": 1.0,
        "outcome": "passed",
        **changes,
    }


def private() -> UseCase:
    """The flights as if they were about people: declared so, hidden in the log, and deleted."""
    entity = USE_CASE.table(USE_CASE.entity_table)
    columns = tuple(
        column.model_copy(update={"privacy": "hash"})
        if column.name == USE_CASE.id_column
        else column
        for column in entity.columns
    )
    hidden = entity.model_copy(update={"columns": columns})
    return USE_CASE.model_copy(
        update={
            "tables": tuple(hidden if table is entity else table for table in USE_CASE.tables),
            "data_set": USE_CASE.data_set.model_copy(update={"sensitivity": "personal"}),
            "serving": USE_CASE.serving.model_copy(update={"log_days": 90}),
        }
    )


GATES = (
    gate("latency", metric="latency_p50_ms"),
    gate("attribution", metric="forbidden_share", slice="route_arrivals_28d"),
    gate("baselines"),
    gate("slice_brier", slice="origin=EWR"),
    gate("fairness", slice="origin"),
    gate("perturbation"),
    gate("missing_values"),
)


def complete(**changes: Any) -> Records:
    """Records of version 3, which replaced version 2 by a canary and serves since July."""
    fields: dict[str, Any] = {
        "use_case": private(),
        "version": 3,
        "training": training(3),
        "former": (training(1), training(2)),
        "former_inputs": {2: frozenset(item.name for item in USE_CASE.inputs[1:])},
        "review": Review(START - timedelta(days=2), ("ann@example.org",)),
        "gates": GATES,
        "trials": ({"number": 0}, {"number": 1}),
        "attributions": ({"input": "carrier", "share": 0.6}, {"input": "dest", "share": 0.4}),
        "explained": 5,
        "validation": {"accepted": True, "reasons": []},
        "ledger": (
            row(1, "promoted", 1),
            row(2, "rolled_back", 2),
            row(3, "traffic", 3),
            row(4, "verdict", 3, reason="no difference"),
            row(5, "promoted", 3),
        ),
        "windows": (
            window(1, 0, 0.66),
            window(2, 1, 0.68),
            *(window(3, month, 0.70) for month in (2, 3, 4)),
        ),
        "findings": (
            finding("schema_skew", "schema"),
            finding("distribution", "moved_columns"),
            finding("efficiency", "p99_milliseconds"),
            finding("efficiency", "cost_per_thousand"),
        ),
        "parity": (0.0, 1e-7),
        "sent": (Sent("mail", 4),),
        "reproduced": {2: "identical", 3: "identical"},
        "pipelines": (Pipeline("b" * 64, "staging", "2013-06-30T00:00:00+00:00"),),
        "junit": (
            JUnitRun(
                "unit.xml",
                COMMIT,
                ("tests.unit.features.test_rolling::test_a", "tests.dags.x::test_b[flight_delays]"),
                (),
            ),
        ),
        "seconds": {1: 60.0, 2: 62.0, 3: 70.0},
    }
    return Records(**{**fields, **changes})
