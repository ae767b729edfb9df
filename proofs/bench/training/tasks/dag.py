"""The whole training DAG."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from include.settings import PROJECT_ROOT
from proofs.bench.training.world import USE_CASE, YEAR


def dag(arguments: dict[str, Any]) -> dict[str, Any]:
    """The training DAG through Airflow's own runner, in this process."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    dag_id = f"{USE_CASE}__training"
    bag = BundleDagBag(
        dag_folder=str(PROJECT_ROOT / "dags"),
        bundle_path=PROJECT_ROOT / "dags",
        bundle_name="dags-folder",
    )
    # A run id carries the moment of the run; two runs of one second would be the same.
    conf = {
        "until": YEAR.end.date().isoformat(),
        "trials": arguments["trials"],
        "reason": f"bench {datetime.now(UTC).isoformat()}",
    }
    started = time.perf_counter()
    run = bag.dags[dag_id].test(run_conf=conf)
    seconds = time.perf_counter() - started
    with create_session() as session:
        tasks = {
            item.task_id: (str(item.state), float(item.duration or 0.0))
            for item in run.get_task_instances(session=session)
        }
        query = XComModel.get_many(run_id=run.run_id, dag_ids=dag_id, key="return_value")
        results = {row.task_id: XComModel.deserialize_value(row) for row in session.scalars(query)}
    trained = results.get("train_model", {})
    verdict = results.get("check_gates", {})
    return {
        "seconds": seconds,
        "state": str(run.state),
        "tasks": {
            name: {"state": state, "seconds": duration} for name, (state, duration) in tasks.items()
        },
        "package": trained.get("package"),
        "validation_loss": trained.get("validation_loss"),
        "reasons": verdict.get("reasons"),
    }
