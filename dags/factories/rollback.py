"""Rollback: all traffic back to a version that served before.

Started by hand, with one click: it goes back to the version before the one in service, or during a
rollout to the one in service. It needs the release ledger and the signed package in the model
store, and neither MLflow nor the version's record there. `flightdeck rollback` does the same.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from dags.factories.common import build_dag
from include.spec import UseCase
from plugins.operators.step import StepOperator

PROCESS = "rollback"


def build_rollback_dag(use_case: UseCase) -> DAG:
    """`<use_case>__rollback`, by hand only."""
    with build_dag(
        use_case,
        PROCESS,
        schedule=None,
        description="All traffic back to a version that served before.",
        doc_md=__doc__,
        params={
            "to": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                title="Version",
                description="A version that has served. Empty: the one before.",
            ),
            "reason": Param(
                None,
                type=["null", "string"],
                maxLength=500,
                title="Reason",
                description="Why; kept in the ledger.",
            ),
        },
    ) as dag:
        StepOperator(
            task_id="roll_back",
            step="include.processes.rollback:roll_back",
            use_case=use_case.name,
            process=PROCESS,
            uses_interval=False,
        )
    return dag
