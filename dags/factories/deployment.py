"""Deployment: package a registered version, check the package, put it into service, move the
champion.

Started by the challenger asset of training, or by hand with a version (that is also the way back to
an older one). The package is loaded in a fresh process and must answer its golden requests before
it may serve. The endpoint swaps while requests flow; only when it answers with the new version does
the ledger record the release and the alias `champion` move. Otherwise the old one stays.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, chain

from dags.factories.common import asset, build_dag
from include.spec import UseCase
from plugins.operators.gate import PackageCheckOperator
from plugins.operators.step import StepOperator

PROCESS = "deployment"
STEPS = "include.processes.deployment"


def build_deployment_dag(use_case: UseCase) -> DAG:
    """`<use_case>__deployment`, on the challenger asset."""
    names: dict[str, Any] = {"use_case": use_case.name, "process": PROCESS, "uses_interval": False}
    with build_dag(
        use_case,
        PROCESS,
        schedule=[asset(use_case, "challenger")],
        description="Package, check, put into service.",
        doc_md=__doc__,
        params={
            "version": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                title="Version",
                description="Registered version to deploy. Empty: the current challenger.",
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
        chain(
            StepOperator(task_id="select_version", step=f"{STEPS}:select_version", **names),
            StepOperator(task_id="package_model", step=f"{STEPS}:package_model", **names),
            PackageCheckOperator(task_id="check_package", step=f"{STEPS}:check_package", **names),
            StepOperator(
                task_id="put_into_service",
                step=f"{STEPS}:put_into_service",
                outlets=[asset(use_case, "champion")],
                **names,
            ),
        )
    return dag
