"""Batch scoring: score every target of the interval with the champion into the predictions table.

Waits until the interval's features are complete, cuts the interval into partitions that fit into a
worker's memory, scores each of them as a mapped task and publishes all of them in one commit, or
nothing. An interval that fits into one partition is scored by the task that plans; the mapped task
is skipped. A partition that was scored before a task died is found again and not scored twice.
Scoring the same interval again with the same champion leaves the same table at the same version.
"""

from __future__ import annotations

from airflow.sdk import DAG

from dags.factories.common import asset, build_dag, intervals
from include.spec import UseCase
from plugins.operators.interval import IntervalCompleteSensor
from plugins.operators.partition import PlannedOperator, PlanOperator

PROCESS = "batch_scoring"
STEPS = "include.processes.batch_scoring"


def build_batch_scoring_dag(use_case: UseCase) -> DAG:
    """`<use_case>__batch_scoring`, on the use case's batch-scoring cron."""
    names = {"use_case": use_case.name, "process": PROCESS}
    with build_dag(
        use_case,
        PROCESS,
        schedule=intervals(use_case, use_case.schedule.batch_scoring_cron),
        description="Plan partitions, score them with the champion, publish all or nothing.",
        doc_md=__doc__,
    ) as dag:
        awaited = IntervalCompleteSensor(
            task_id="await_features",
            awaited="features",
            poke_interval=30,
            timeout=3600,
            inlets=[asset(use_case, "features")],
            **names,
        )
        planned = PlanOperator(
            task_id="plan_partitions",
            step=f"{STEPS}:plan_partitions",
            inlets=[asset(use_case, "champion")],
            **names,
        )
        scored = PlannedOperator.partial(
            task_id="score_partition",
            step=f"{STEPS}:score_partition",
            plan_task=planned.task_id,
            map_index_template="{{ task.partition['start'] }}",
            **names,
        ).expand(partition=planned.output)
        published = PlannedOperator(
            task_id="publish_predictions",
            step=f"{STEPS}:publish_predictions",
            plan_task=planned.task_id,
            trigger_rule="none_failed",
            outlets=[asset(use_case, "predictions")],
            **names,
        )
        awaited >> planned >> scored >> published
    return dag
