"""Airflow DAGs of releases that wait for approval, without what is slow before and after it, and
of decisions that wait for a review.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow.sdk import DAG, chain

from dags.factories.common import build_dag
from dags.factories.decision_review import build_decision_review_dag
from include.catalogue import load_use_case
from include.release.approval import Right
from plugins.operators.approval import ApprovalGateOperator, RequestApprovalOperator
from plugins.operators.gate import PackageCheckOperator
from plugins.operators.step import StepOperator

STEPS, APPROVAL = "proofs.faults.approval_steps", "include.processes.approval"
USE_CASE = load_use_case("flight_delays")
NAMES: dict[str, Any] = {"use_case": USE_CASE.name, "process": "deployment", "uses_interval": False}
RIGHT = Right.to_approve(USE_CASE.release)


def build(process: str, right: Right) -> DAG:
    """A deployment with the approval's own tasks; its first and last steps are small."""
    with build_dag(
        USE_CASE, process, schedule=None, description="Approval", doc_md=None, max_active_runs=16
    ) as dag:
        chain(
            StepOperator(task_id="select_version", step=f"{STEPS}:select_version", **NAMES),
            PackageCheckOperator(task_id="check_package", step=f"{STEPS}:check_package", **NAMES),
            RequestApprovalOperator(
                task_id="request_approval",
                step=f"{APPROVAL}:request_approval",
                right=right,
                **NAMES,
            ),
            ApprovalGateOperator(
                task_id="check_approval",
                step=f"{APPROVAL}:check_approval",
                request_task="request_approval",
                **NAMES,
            ),
            StepOperator(task_id="promote_version", step=f"{STEPS}:promote_version", **NAMES),
        )
    return dag


deployment = build("deployment", RIGHT)
expiring = build("expiring", replace(RIGHT, hours=2 / 3600))
decision_review = build_decision_review_dag(USE_CASE)
