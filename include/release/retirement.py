"""A use case is retired: no version of it answers any more, by a row of the ledger like every other
change of its traffic.
"""

from __future__ import annotations

from typing import Any

from include.errors import ReleaseError
from include.release.ledger import Entry, Ledger
from include.release.plan import Plan
from include.release.reconcile import require_sound_ledger
from include.release.rollout.decisions import decide
from include.settings import Settings
from include.spec import UseCase

RETIRED = "retired"
"""The evidence of the row that retires."""


def is_retired(settings: Settings, use_case: str) -> bool:
    """Whether the newest row about the use case's traffic retired it."""
    newest = Ledger(settings).newest(use_case)
    return newest is not None and newest.evidence.get(RETIRED) is True


def release_under_way(settings: Settings, use_case: str) -> str | None:
    """A sentence about the release that is being tried now; None where there is none."""
    newest = Ledger(settings).newest(use_case)
    if newest is None or newest.event != "traffic":
        return None
    return (
        f"A release of {use_case} is under way: version {newest.version} is being tried (row"
        f" {newest.number} of the ledger, by {newest.actor}). Let it end, or end it with flightdeck"
        f" rollback {use_case}."
    )


def serving_version(settings: Settings, use_case: str) -> int | None:
    """The version that answers by the ledger; None where none does."""
    traffic = Ledger(settings).traffic(use_case)
    champion = None if traffic is None else traffic.champion
    return None if champion is None else champion.version


def retire(
    settings: Settings, use_case: UseCase, *, actor: str, reason: str, evidence: dict[str, Any]
) -> tuple[Entry, Plan]:
    """Have no version answer from now on; the row and the plan, which is in force and not yet seen
    to be followed.

    Raises `ReleaseError` while a release is under way, and where no version is in service.
    """
    require_sound_ledger(settings)
    ledger, name = Ledger(settings), use_case.name
    running = release_under_way(settings, name)
    if running is not None:
        raise ReleaseError(running)
    newest, traffic = ledger.newest(name), ledger.traffic(name)
    champion = None if traffic is None else traffic.champion
    if newest is None or champion is None:
        raise ReleaseError(f"No version of {name} is in service: there is nothing to retire.")
    return decide(
        settings,
        ledger,
        "rolled_back",
        champion.version,
        champion.digest,
        use_case=use_case,
        arms=(),
        actor=actor,
        reason=reason,
        evidence={**evidence, RETIRED: True},
        after=newest.number,
    )
