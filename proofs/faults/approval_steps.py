"""What stands before and after an approval in `approval_dags`, without models and endpoint."""

from __future__ import annotations

from include.processes.approval import claim_of
from include.processes.results import PackageVerdict, Release, SelectedVersion
from include.release.approval import require_approval
from include.release.ledger import Ledger
from include.steps import StepContext

DIGEST = "a" * 64


def select_version(context: StepContext) -> SelectedVersion:  # noqa: ARG001  # as every step
    """Version 7."""
    return SelectedVersion(
        version=7, digest=DIGEST, mlflow_run_id="run", reason="the challenger", after=0
    )


def check_package(
    context: StepContext,  # noqa: ARG001  # as every step
    selected: SelectedVersion,
) -> PackageVerdict:
    """It is accepted."""
    return PackageVerdict(
        accepted=True, reasons=(), checks={}, version=selected.version, digest=selected.digest
    )


def promote_version(
    context: StepContext,
    selected: SelectedVersion,
    verdict: PackageVerdict,  # noqa: ARG001  # as every step
) -> Release:
    """Ask the ledger for the approval, as a promotion does, and promote nothing."""
    claim = claim_of(context, selected.version, selected.digest)
    rows = Ledger(context.settings).rows(context.use_case.name)
    row = require_approval(context.use_case.release, claim, rows)
    return Release(
        version=claim.version,
        digest=claim.digest,
        previous_version=None,
        ledger_row=0 if row is None else row.number,
        changed=False,
    )
