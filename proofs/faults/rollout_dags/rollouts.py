"""Airflow DAGs of releases alone: the shipped deployment and roll-back."""

from __future__ import annotations

from dags.factories.deployment import build_deployment_dag
from dags.factories.rollback import build_rollback_dag
from include.catalogue import load_use_case

USE_CASE = load_use_case("flight_delays")

deployment = build_deployment_dag(USE_CASE)
rollback = build_rollback_dag(USE_CASE)
