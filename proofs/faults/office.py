"""Releases that wait for a person in a real Airflow, one run for each case."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from include.inference_log.log import log_schema, log_table
from include.registry.client import connect
from include.release.approval import APPROVE
from include.release.ledger import Entry, Ledger
from include.settings import PROJECT_ROOT
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.faults.approval_steps import DIGEST
from proofs.harness.airflow import Account, Airflow
from proofs.harness.home import home_settings
from proofs.harness.ports import free_ports

DAG, EXPIRING = "flight_delays__deployment", "flight_delays__expiring"
REVIEW = "flight_delays__decision_review"
ASK, GATE, PROMOTE = "request_approval", "check_approval", "promote_version"
REASON = "better on every slice"
OVERLAY = {
    "flight_delays": {
        "release": {"approval": "all", "approvers": ["reviewer", "second"], "approval_hours": 1}
    }
}
STATE_SECONDS = 240.0
PERSON_SECONDS = 6.0
"""An answer that comes before Airflow's scheduler has heard that the task waits looks to it as if
the task were lost: it asks anew.
"""
CASES = ("approved", "marked", "edited", "digest", "self")


class Office:
    """An Airflow whose releases wait, one run for each case, started at once."""

    def __init__(self, airflow: Airflow, cases: Sequence[str] = CASES) -> None:
        self.airflow, self.settings = airflow, airflow.settings
        self.engineer, self.reviewer = airflow.api("engineer"), airflow.api("reviewer")
        for dag_id in (DAG, EXPIRING):
            self.engineer.wait_for_dag(dag_id)
        for case in cases:
            starter = self.reviewer if case == "self" else self.engineer
            starter.trigger(DAG, case)
        self.engineer.trigger(EXPIRING, "expired")

    def wait(self, case: str, task: str, *states: str, dag_id: str = DAG) -> None:
        """Until a task of a run is in one of the states."""
        self.airflow.wait_for(
            f"bring {task} of {case} to {states}",
            lambda: self.engineer.states(dag_id, case).get(task) in states,
            seconds=STATE_SECONDS,
        )

    def end(self, case: str, dag_id: str = DAG) -> str:
        """How the run ends, its failed tasks' second tries left out.

        A run whose task was refused may be of use while its others are tried again; of one that
        ends well the end is waited for, since Airflow loses what is cleared while it ends a run.
        """
        for task in (GATE, PROMOTE):
            self.wait(case, task, "success", "failed", "upstream_failed", dag_id=dag_id)
            if self.engineer.states(dag_id, case)[task] != "success":
                return f"{task} {self.engineer.states(dag_id, case)[task]}"
        self.airflow.wait_for(
            f"end the run of {case}",
            lambda: self.engineer.run_state(dag_id, case) == "success",
            seconds=STATE_SECONDS,
        )
        return "released"

    def log_answer(self, prediction_id: str) -> None:
        """An answer of version 7, whose package nobody has, in the inference log."""
        moment = datetime.now(UTC)
        schema = log_schema(USE_CASE)
        answer = {
            "prediction_id": prediction_id,
            "model_version": 7,
            "model_digest": DIGEST,
            "answered_at": moment,
            USE_CASE.event_time: moment,
            "score": 0.4,
            "decision": False,
            "arm": "champion",
            "flags": [],
        }
        row = pl.DataFrame([{name: answer.get(name) for name in schema}], schema=schema)
        TableStore(self.settings.tables_uri).replace_all(log_table(USE_CASE.name), row)

    def rows(self, case: str) -> list[Entry]:
        """The ledger's rows of a run."""
        rows = Ledger(self.settings).rows("flight_delays")
        return [row for row in rows if row.run == f"deployment/{case}"]

    def asked(self, case: str, account: Account, choice: str = APPROVE) -> int:
        """Wait for the request and answer it, as late as a person does; the status of the API's
        answer.
        """
        self.wait(case, ASK, "awaiting_input")
        time.sleep(PERSON_SECONDS)
        return account.answer(DAG, case, ASK, choice, REASON)


@contextmanager
def open_office(folder: Path, cases: Sequence[str] = CASES) -> Iterator[Office]:
    """An Airflow of its own below `folder`, with the cases' runs under way."""
    overlay = folder / "overlay.json"
    overlay.write_text(json.dumps(OVERLAY))
    airflow_port, serving_port = free_ports(2)
    settings = home_settings(
        folder / "home", AIRFLOW_PORT=airflow_port, SERVING_PORT=serving_port, SPEC_OVERLAY=overlay
    )
    # MLflow's database is migrated by one process, before several tasks meet it at once.
    connect(settings).search_experiments()
    dags = PROJECT_ROOT / "proofs" / "faults" / "approval_dags"
    with Airflow(settings, dags=dags) as airflow:
        yield Office(airflow, cases)
