"""What a home lives through before it is kept for the tests of later versions: `python -m
tests.upgrade.life ABOUT`, in a copy of the project whose only use case is the small one.

A model of January is released by the wired DAGs and answers a caller who has a key and tells how
things came out; February is scored, watched and alarmed about; its own training and release follow
and are taken back by hand. ABOUT is the file that says what a later version must find.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.application import invoke
from cli.endpoint.api_keys import add_key
from cli.platform.preflight import require_writable
from include.errors import PlatformError
from include.home_version import VERSION
from include.inference_log.log import ship
from include.interval import Interval
from include.process_end import end_at_once
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.harness.dag_runs import run_dag
from proofs.harness.databases import airflow_at, mlflow_at
from proofs.harness.endpoint import Endpoint
from tests.integration.pump_faults.months import FEBRUARY, JANUARY, MARCH, NAME
from tests.upgrade.home import answer, enter, records, until_version

CALLER = "bookings"
PAGE_BYTES = 1_000_000
QUESTIONS = [
    {"pump": pump, "vibration": vibration, "pressure": 0.9, "flow": 1.1, "load": 0.2}
    for pump, vibration in (("pump 07", 1.4), ("pump 12", -0.3), ("a new pump", 0.0))
]


def main(about: Path) -> None:
    """Live it, and write what is there at the end."""
    home = Path(PROJECT_ROOT, "var")
    enter(home)
    settings = load_settings()
    require_writable(settings)
    airflow_at(home / "airflow" / "airflow.db")
    mlflow_at(home / "mlflow" / "mlflow.db")
    key = add_key(home / "keys" / "api_keys", CALLER)
    with Endpoint(settings, port=settings.serving_port) as endpoint:
        released(1, JANUARY, endpoint)
        asked(endpoint, JANUARY.end)
        watched(FEBRUARY)
        released(2, FEBRUARY, endpoint)
        invoke(["rollback", NAME, "--reason", "dispatchers do not trust it"])
        until_version(endpoint, NAME, 1)
        recorded = asked(endpoint, FEBRUARY.end)
    ship(settings, NAME)
    endpoint.log.unlink()
    drop_pages(home)
    content = {**left(settings), **recorded, "key": key}
    about.write_text(json.dumps(content, indent=1, default=str))


def released(version: int, month: Interval, endpoint: Endpoint) -> None:
    """Train on what is known at the end of a month, and release what comes of it."""
    if version == 1:
        accepted("features", month.end)
    conf = {"until": month.end.date().isoformat(), "reason": f"of {month.label}", "trials": 1}
    accepted("training", None, conf)
    accepted("deployment", None, {"reason": f"of {month.label}"})
    until_version(endpoint, NAME, version)


def watched(month: Interval) -> None:
    """Land, score and watch a month."""
    for process in ("features", "batch_scoring", "monitoring"):
        accepted(process, month.end)


def accepted(process: str, end: datetime | None, conf: dict[str, Any] | None = None) -> None:
    """Run a DAG on the interval that ends there; `PlatformError` where it does not end well."""
    run = run_dag(f"{NAME}__{process}", end, conf)
    if run.state != "success":
        raise PlatformError(f"{process}: {run.state}: {run.note} {run.tasks} {run.task_notes}")


def asked(endpoint: Endpoint, at: datetime) -> dict[str, Any]:
    """Questions as they were asked with their answers, of which the first is told to be wrong."""
    rows = [{**question, "asked_at": at.isoformat()} for question in QUESTIONS]
    answers = answer(endpoint, NAME, rows)
    feedback = [{"prediction_id": answers["predictions"][0]["prediction_id"], "label": 1}]
    told = endpoint.client.post(f"/v1/models/{NAME}/feedback", json={"feedback": feedback})
    told.raise_for_status()
    return {"rows": rows, "answer": answers}


def drop_pages(home: Path) -> None:
    """Remove Evidently's pages: most of each is a library of JavaScript, and no code reads one."""
    for page in home.rglob("*.html"):
        if page.stat().st_size > PAGE_BYTES:
            page.unlink()


def left(settings: Settings) -> dict[str, Any]:
    """What a later version must find."""
    return {
        "version": VERSION,
        "use_case": NAME,
        "next": MARCH.as_json(),
        "champion": 1,
        **records(settings, NAME),
    }


if __name__ == "__main__":
    exits_with = end_at_once()
    main(Path(sys.argv[1]))
    exits_with(0)
