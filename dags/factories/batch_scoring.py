"""Batch scoring: score every target of the interval with the champion into the predictions table.

Waits until the interval's features are complete. The output is validated and published all or nothing; scoring the same interval
again with the same champion leaves the same table at the same version.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from dags.factories.common import asset, build_dag, intervals
from include.spec import UseCase
from plugins.operators.interval import IntervalCompleteSensor
from plugins.operators.step import StepOperator

PROCESS = "batch_scoring"


def build_batch_scoring_dag(use_case: UseCase) -> DAG:
    """`<use_case>__batch_scoring`, on the use case's batch-scoring cron."""
    names = {"use_case": use_case.name, "process": PROCESS}
    with build_dag(
        use_case,
        PROCESS,
        schedule=intervals(use_case.schedule.batch_scoring_cron),
        description="Score the interval with the champion.",
        doc_md=__doc__,
    ) as dag:
        chain(
            IntervalCompleteSensor(task_id="await_features", awaited="features", poke_interval=30, timeout=3600, **names),
            StepOperator(
                task_id="score_interval",
                step="include.scoring.steps:score_interval",
                outlets=[asset(use_case, "predictions")],
                **names,
            ),
        )
    return dag
