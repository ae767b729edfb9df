"""Use cases of this checkout through their wired DAGs: `python -m tests.integration.example_run
NAME ...`, in a copy of the project that has them.

Everything before the last interval of a source is landed at once; the last one goes through every
DAG, and one endpoint serves all of them. The last line printed is what they left, as JSON by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.authoring.trial import UNSEEN
from include.catalogue import load_use_case
from include.errors import PlatformError
from include.interval import Interval
from include.processes.features import compute_features, ingest_source, publish_tables
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.spec import UseCase
from include.spec.times import intervals_between, ticks_around
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore, in_window
from proofs.harness.dag_runs import run_dag
from proofs.harness.data import as_request
from proofs.harness.databases import airflow_at, mlflow_at
from proofs.harness.endpoint import Endpoint
from proofs.harness.home import enter_home
from proofs.harness.ports import free_port

ASKED_ROWS = 5


def main(names: Sequence[str]) -> None:
    """Train all, serve all by one endpoint, then score and watch all."""
    home = Path(PROJECT_ROOT, "var")
    enter_home(home, SERVING_PORT=free_port(), GRPC_PORT=0)
    settings = load_settings()
    airflow_at(home / "airflow" / "airflow.db")
    mlflow_at(home / "mlflow.db")
    use_cases = [load_use_case(name) for name in names]
    for use_case in use_cases:
        train(use_case, settings)
    with Endpoint(settings, port=settings.serving_port) as endpoint:
        answers = {one.name: served(one, settings, endpoint) for one in use_cases}
    left = {one.name: watched(one) | {"answer": answers[one.name]} for one in use_cases}
    sys.stdout.write(f"\n{json.dumps(left, default=str)}\n")


def train(use_case: UseCase, settings: Settings) -> None:
    """Its features and its training, on what was known before the last interval."""
    last = last_interval(use_case)
    before = Interval(use_case.schedule.start, last.start)
    context = StepContext(use_case, settings, before, RunInfo(process="features", run_id="before"))
    publish_tables(context, ingest_source(context), UNSEEN)
    compute_features(context)
    accepted(f"{use_case.name}__features", last.end)
    until = last.start.astimezone(UTC).date().isoformat()
    conf = {"until": until, "reason": "as it ships"}
    accepted(f"{use_case.name}__training", None, conf)


def served(use_case: UseCase, settings: Settings, endpoint: Endpoint) -> Any:
    """What the endpoint answers to the newest questions, asked once more after its deployment."""
    accepted(f"{use_case.name}__deployment", None, {"reason": "as it ships"})
    rows = questions(use_case, settings)
    answer = endpoint.client.post(f"/v1/models/{use_case.name}/predict", json={"rows": rows})
    answer.raise_for_status()
    return answer.json()


def watched(use_case: UseCase) -> dict[str, Any]:
    """The results of the last interval's batch scoring and monitoring."""
    name, end = use_case.name, last_interval(use_case).end
    return {
        "batch_scoring": accepted(f"{name}__batch_scoring", end),
        "monitoring": accepted(f"{name}__monitoring", end),
    }


def last_interval(use_case: UseCase) -> Interval:
    """The last whole interval of the use case's source."""
    schedule = use_case.schedule
    end = ticks_around(schedule.features_cron, schedule.end or schedule.start)[0]
    return intervals_between(schedule.features_cron, schedule.start, end)[-1]


def accepted(
    dag_id: str, end: datetime | None, conf: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The results of a run, which must have been accepted; `PlatformError` says why it was not."""
    run = run_dag(dag_id, end, conf)
    if run.state != "success":
        raise PlatformError(f"{dag_id} is {run.state}: {run.note} {run.tasks} {run.task_notes}")
    return run.results


def questions(use_case: UseCase, settings: Settings) -> list[dict[str, Any]]:
    """The last interval's newest rows as a caller asks about them at its end."""
    last = last_interval(use_case)
    inside = in_window(use_case.event_time, last.start, last.end)
    rows = TableStore(settings.tables_uri).read(use_case.entity_table, where=inside)
    newest = rows.sort(use_case.event_time, use_case.id_column).tail(ASKED_ROWS)
    fields = (field.name for field in use_case.serving.request_fields)
    asked = newest.select(*use_case.serving.entity_keys, *fields).to_dicts()
    return [as_request({**row, use_case.event_time: last.end}) for row in asked]


if __name__ == "__main__":
    main(sys.argv[1:])
