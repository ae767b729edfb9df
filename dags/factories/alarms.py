"""Alarms: send what could not be sent.

A notice is sent when its alarm is raised. Where a sink (an e-mail server, a chat, a webhook) is
down, the notice waits, and this DAG sends it every ten minutes until it is taken. Without a file of
sinks (`FLIGHTDECK_ALARM_SINKS`) it has no schedule. What waits is `flightdeck alarms sinks`.
"""

from __future__ import annotations

from airflow.sdk import DAG

from dags.factories.common import build_dag
from include.settings import Settings
from include.spec import UseCase
from plugins.operators.step import StepOperator

PROCESS = "alarms"
EVERY_TEN_MINUTES = "*/10 * * * *"


def build_alarms_dag(use_case: UseCase, settings: Settings) -> DAG:
    """`<use_case>__alarms`, every ten minutes where alarms are sent anywhere."""
    with build_dag(
        use_case,
        PROCESS,
        schedule=None if settings.alarm_sinks is None else EVERY_TEN_MINUTES,
        description="Send the notices that wait.",
        doc_md=__doc__,
    ) as dag:
        StepOperator(
            task_id="send_alarms",
            step="include.processes.alarms:send_alarms",
            use_case=use_case.name,
            process=PROCESS,
            uses_interval=False,
        )
    return dag
