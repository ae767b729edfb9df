"""Deployment: package a registered version, check the package, ask whoever must approve, roll it
out by the use case's strategy, promote it.

Started by the challenger asset of training, or by hand with a version. The package is loaded in a
fresh process and must answer its golden requests before it may serve. Each stage of a rollout is a
task that waits without a worker slot, compares both versions' answers, and gives all traffic back
to the champion when the new one is worse. Only when every endpoint process answers with the new
version does the ledger record the promotion and the alias `champion` follow. What a task needs of
those before it is read from the signed ledger: a task that is marked success proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, Param, chain

from dags.factories.common import RUN_TIMEOUT, asset, build_dag
from include.errors import SpecError
from include.release.approval import Right
from include.release.rollout.stages import longest_seconds, stages_of
from include.settings import Settings
from include.spec import UseCase
from plugins.callbacks import end_rollout
from plugins.operators.approval import ApprovalGateOperator, RequestApprovalOperator
from plugins.operators.gate import PackageCheckOperator
from plugins.operators.rollout import RolloutStageOperator
from plugins.operators.step import StepOperator

PROCESS = "deployment"
STEPS = "include.processes.deployment"
APPROVAL = "include.processes.approval"
ASKING = "request_approval"


def require_approval(use_case: UseCase, settings: Settings) -> None:
    """Raise `SpecError` where the environment asks for a person and the use case for none."""
    if settings.approval == "required" and not use_case.release.needs_approval:
        raise SpecError(
            f"include/use_cases/{use_case.name}/spec.py: release: approval is"
            f" {use_case.release.approval!r}, so that nobody approves, and in"
            f" {settings.environment} a named person must. Write approval='all' and approvers, or"
            " set FLIGHTDECK_APPROVAL=declared."
        )


def build_deployment_dag(use_case: UseCase) -> DAG:
    """`<use_case>__deployment`, on the challenger asset."""
    names: dict[str, Any] = {"use_case": use_case.name, "process": PROCESS, "uses_interval": False}
    longest = timedelta(seconds=longest_seconds(use_case.release))
    with build_dag(
        use_case,
        PROCESS,
        schedule=[asset(use_case, "challenger")],
        description="Package, check, approve, roll out, promote.",
        doc_md=__doc__,
        run_timeout=RUN_TIMEOUT + longest,
        default_args={"on_failure_callback": end_rollout},
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
            *_approval(use_case, names),
            *_rollout(use_case, names),
            StepOperator(
                task_id="promote_version",
                step=f"{STEPS}:promote_version",
                outlets=[asset(use_case, "champion")],
                **names,
            ),
        )
    return dag


def _approval(use_case: UseCase, names: dict[str, Any]) -> Iterator[BaseOperator]:
    """The two tasks of an approval, where the policy asks for one."""
    if not use_case.release.needs_approval:
        return
    yield RequestApprovalOperator(
        task_id=ASKING,
        step=f"{APPROVAL}:request_approval",
        right=Right.to_approve(use_case.release),
        **names,
    )
    yield ApprovalGateOperator(
        task_id="check_approval",
        step=f"{APPROVAL}:check_approval",
        request_task=ASKING,
        **names,
    )


def _rollout(use_case: UseCase, names: dict[str, Any]) -> Iterator[BaseOperator]:
    """One task per stage of the strategy."""
    for stage in stages_of(use_case.release):
        yield RolloutStageOperator(
            task_id=stage.name,
            stage=stage.name,
            right=Right.to_override(use_case.release),
            **names,
        )
