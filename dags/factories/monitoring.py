"""Monitoring: join what was predicted with what came true, ask the checks, decide on drift and
performance, report, and raise the alarm.

Waits until the interval is scored. Labels that were not known at the interval's end are counted,
not guessed. The alarm is an asset event that starts training and carries the interval, the verdict
and the reasons; without an alarm the last task ends well and emits nothing. An alarm on faulty
data, within the cool-down or above the daily limit is recorded as suppressed and starts nothing.
The note of a run with an alarm begins with it, and its last task carries a note too, which marks
the month in the grid.

`check_releases` has an alarm of its own: it fails when the release ledger was changed by hand, or
what follows from it cannot be put back (docs/releases-ledger.md).
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from dags.factories.common import asset, build_dag, intervals
from include.spec import UseCase
from plugins.operators.alarm import AlarmOperator
from plugins.operators.gate import ReleaseCheckOperator
from plugins.operators.interval import IntervalCompleteSensor
from plugins.operators.report import ReportOperator
from plugins.operators.step import StepOperator

PROCESS = "monitoring"
STEPS = "include.processes.monitoring"


def build_monitoring_dag(use_case: UseCase) -> DAG:
    """`<use_case>__monitoring`, on the use case's monitoring cron."""
    names = {"use_case": use_case.name, "process": PROCESS}
    with build_dag(
        use_case,
        PROCESS,
        schedule=intervals(use_case, use_case.schedule.monitoring_cron),
        description="Join labels, checks, drift, performance, report, alarm.",
        doc_md=__doc__,
    ) as dag:
        # Of no interval: it waits for nothing, and nothing waits for it.
        ReleaseCheckOperator(
            task_id="check_releases",
            step="include.processes.releases:check_releases",
            uses_interval=False,
            **names,
        )
        checks = StepOperator(task_id="run_checks", step=f"{STEPS}:run_checks", **names)
        drift = StepOperator(task_id="detect_drift", step=f"{STEPS}:detect_drift", **names)
        performance = StepOperator(
            task_id="evaluate_performance", step=f"{STEPS}:evaluate_performance", **names
        )
        # What the checks found of each input decides on drift.
        checks >> drift
        chain(
            IntervalCompleteSensor(
                task_id="await_predictions",
                awaited="batch_scoring",
                inlets=[asset(use_case, "predictions")],
                poke_interval=30,
                timeout=3600,
                **names,
            ),
            StepOperator(task_id="collect_log", step=f"{STEPS}:collect_log", **names),
            StepOperator(task_id="join_labels", step=f"{STEPS}:join_labels", **names),
            [checks, performance],
        )
        chain(
            [drift, performance],
            ReportOperator(task_id="build_report", step=f"{STEPS}:build_report", **names),
            StepOperator(task_id="decide_alarm", step=f"{STEPS}:decide_alarm", **names),
            AlarmOperator(
                task_id="raise_alarm",
                step="include.processes.monitoring:propose_alarm",
                asset=asset(use_case, "alarm"),
                **names,
            ),
        )
    return dag
