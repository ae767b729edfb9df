"""What must stand in the ledger before traffic may move.

Tasks pass results to each other through Airflow, where they can be marked and edited; rows are
signed. So every step that moves traffic reads here what its own run has proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from include.errors import ReleaseError
from include.release.approval import Claim, require_approval
from include.release.ledger import Entry
from include.release.rollout.stages import Stage, stages_of
from include.spec import Release

PACKAGE_STEP = "check_package"
Outcome = Literal["passed", "failed", "inconclusive"]


def require_conditions(
    release: Release, claim: Claim, rows: Sequence[Entry], *, before: Stage | None = None
) -> None:
    """Raise `ReleaseError` unless the run's rows say that the package was accepted, that the policy
    is met, and that every stage (before `before`, where it is one that begins) has passed; and
    where the run has ended by a roll-back.
    """
    _require_not_taken_back(claim, rows)
    require_verdict(claim, rows, PACKAGE_STEP)
    require_approval(release, claim, rows)
    for stage in stages_of(release):
        if before is not None and stage.index >= before.index:
            return
        require_verdict(claim, rows, stage.name)


def require_verdict(claim: Claim, rows: Sequence[Entry], step: str) -> Entry:
    """The newest row of the run about the step's verdict, which must have passed for this version
    and digest, or be the override of a person.

    Raises `ReleaseError` otherwise.
    """
    newest = max(
        (row for row in rows if _is_about(row, claim, step)),
        key=lambda row: row.number,
        default=None,
    )
    what = f"Version {claim.version} of {claim.use_case} (digest {claim.digest[:16]})"
    if newest is None:
        raise ReleaseError(
            f"{what} may not go on: the ledger has no verdict of {step} in run {claim.run}. A task"
            " that was marked success has proved nothing; clear it, and let it run."
        )
    if (newest.version, newest.digest) != (claim.version, claim.digest):
        raise ReleaseError(
            f"{what} may not go on: row {newest.number} of the ledger judged version"
            f" {newest.version} with digest {newest.digest[:16]} in {step}. Start a new deployment."
        )
    if newest.event == "verdict" and newest.evidence.get("outcome") != "passed":
        raise ReleaseError(
            f"{what} may not go on: {step} was {newest.evidence.get('outcome')} (row"
            f" {newest.number} of the ledger): {newest.reason}"
        )
    return newest


def _require_not_taken_back(claim: Claim, rows: Sequence[Entry]) -> None:
    for row in rows:
        if row.event == "rolled_back" and row.run == claim.run and row.evidence.get("final"):
            raise ReleaseError(
                f"The release of version {claim.version} of {claim.use_case} by run {claim.run} was"
                f" rolled back (row {row.number} of the ledger): {row.reason} Start a new"
                " deployment."
            )


def _is_about(row: Entry, claim: Claim, step: str) -> bool:
    return (
        row.event in ("verdict", "override")
        and row.use_case == claim.use_case
        and row.run == claim.run
        and row.evidence.get("about") == step
    )
