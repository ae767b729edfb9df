"""Back to a version that served before: the ledger says which, its signed package is enough.

Neither MLflow nor the version's record there is needed. What cannot be moved with it (the alias) is
named, and reconciled by the next run that reaches MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.errors import ReleaseError
from include.release.interfaces import interface_problem
from include.release.ledger import Entry, Ledger, run_name
from include.release.model_store import version_folder
from include.release.packages import restore_package
from include.release.plan import Plan, write_plan
from include.release.reconcile import require_sound_ledger
from include.release.rollout.decisions import arms_evidence, champion_arm, decide, plan_of
from include.settings import Settings
from include.spec import UseCase

DECIDING = ("traffic", "promoted", "rolled_back")


@dataclass(frozen=True)
class Target:
    """What a roll-back leads to: the promotion that it repeats, and the versions between that
    cannot serve, with the reason of each.
    """

    entry: Entry
    passed_over: dict[int, str]


def find_target(
    settings: Settings, use_case: UseCase, rows: Sequence[Entry], to: int | None
) -> Target:
    """The version to go back to: number `to`, or the newest before the one in service whose
    package can serve. During a rollout it is the version in service itself.

    A version that was trained before the specification was changed can serve as long as what it
    reads can still be had. Raises `ReleaseError` naming what is valid.
    """
    name = use_case.name
    promotions = {row.version: row for row in rows if row.event == "promoted"}
    newest_first = sorted(promotions.values(), key=lambda row: -row.number)
    if not newest_first:
        raise ReleaseError(f"{name} was never released: there is nothing to go back to.")
    valid = [row.version for row in newest_first]
    if to is not None:
        if to not in promotions:
            raise ReleaseError(
                f"Version {to} of {name} has never served; valid: {valid}. A version that has"
                f" not served is released by {name}__deployment."
            )
        problem = package_problem(settings, use_case, promotions[to])
        if problem is not None:
            raise ReleaseError(f"Version {to} of {name} cannot serve: {problem}")
        return Target(promotions[to], {})
    others = [row for row in newest_first[1:] if not _was_taken_out(rows, row)]
    candidates = [newest_first[0], *others] if _in_rollout(rows) else others
    passed_over: dict[int, str] = {}
    for row in candidates:
        problem = package_problem(settings, use_case, row)
        if problem is None:
            return Target(row, passed_over)
        passed_over[row.version] = problem
    reasons = "; ".join(f"version {number}: {why}" for number, why in passed_over.items())
    raise ReleaseError(f"{name} has no version to go back to{': ' if reasons else '.'}{reasons}")


def package_problem(settings: Settings, use_case: UseCase, entry: Entry) -> str | None:
    """Why the package of a promotion cannot serve; None where it is whole, or was made whole from
    another copy, and can be asked by today's specification.
    """
    try:
        restore_package(settings, entry.use_case, entry.version, entry.digest)
    except ReleaseError as error:
        return str(error)
    folder = version_folder(settings, entry.use_case, entry.version)
    return interface_problem(settings, use_case, folder)


def roll_back(
    settings: Settings,
    use_case: UseCase,
    *,
    to: int | None,
    actor: str,
    reason: str,
    evidence: dict[str, Any],
) -> tuple[Entry, Plan, Target]:
    """Give all traffic to a version that served before; the ledger's promotion of it, the plan and
    what it led to. The plan is in force, not yet seen to be followed.

    Raises `LateStep` when somebody else changed the traffic meanwhile, `ReleaseError` when there is
    nothing to go back to or the ledger is broken.
    """
    require_sound_ledger(settings)
    ledger, name = Ledger(settings), use_case.name
    rows = _before(ledger.rows(name), run_name(evidence))
    target = find_target(settings, use_case, rows, to)
    newest = [row for row in rows if row.event in DECIDING][-1]
    current = [row for row in rows if row.event == "promoted"][-1]
    arms = (champion_arm(target.entry.version, target.entry.digest),)
    taken_out = newest if newest.event == "traffic" else current
    details = {
        **evidence,
        "back_to": target.entry.version,
        "back_to_digest": target.entry.digest,
        "passed_over": {str(number): why for number, why in target.passed_over.items()},
    }
    refused = ledger.append(
        "rolled_back",
        name,
        taken_out.version,
        taken_out.digest,
        actor,
        reason,
        {**details, **arms_evidence(use_case, arms)},
        after=newest.number,
    )
    if _serves(current, target.entry):
        plan = plan_of(refused)
        write_plan(settings, plan)
        return refused, plan, target
    entry, plan = decide(
        settings,
        ledger,
        "promoted",
        target.entry.version,
        target.entry.digest,
        use_case=use_case,
        arms=arms,
        actor=actor,
        reason=f"rolled back from version {taken_out.version}: {reason}",
        evidence={**details, "rolled_back": refused.number},
        after=refused.number,
    )
    return entry, plan, target


def _serves(current: Entry, target: Entry) -> bool:
    return (current.version, current.digest) == (target.version, target.digest)


def _in_rollout(rows: Sequence[Entry]) -> bool:
    return [row.event for row in rows if row.event in DECIDING][-1:] == ["traffic"]


def _was_taken_out(rows: Sequence[Entry], promotion: Entry) -> bool:
    """Whether the version was rolled back since: it is gone back to by name only."""
    return any(
        row.event == "rolled_back"
        and row.version == promotion.version
        and row.number > promotion.number
        for row in rows
    )


def _before(rows: Sequence[Entry], run: str | None) -> list[Entry]:
    """The rows that other runs wrote: a step that is repeated goes back to the same version."""
    return [row for row in rows if run is None or row.run != run]
