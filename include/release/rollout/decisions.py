"""From a row of the ledger to the plan that every endpoint process follows.

Whatever changes who answers is one row first, which holds the arms; the plan is computed from the
row, so that a step that is repeated, or that another process finishes, writes the same plan. The
plan in force is the one of the newest row about the use case's traffic.
"""

from __future__ import annotations

from typing import Any, Literal

from include.errors import ReleaseError
from include.release.ledger import Entry, Ledger
from include.release.plan import Plan, PlannedArm, write_plan
from include.settings import Settings
from include.spec import UseCase
from include.spec.release import StrategyKind

Deciding = Literal["traffic", "promoted", "rolled_back"]


def champion_arm(version: int, digest: str, share: float = 1.0) -> PlannedArm:
    """The version that answers where nothing else is said, and where another one fails."""
    return PlannedArm(role="champion", version=version, digest=digest, share=share)


def challenger_arm(version: int, digest: str, share: float) -> PlannedArm:
    """The version that a release tries."""
    return PlannedArm(role="challenger", version=version, digest=digest, share=share)


def shadow_arm(version: int, digest: str) -> PlannedArm:
    """The version whose answers are compared and never returned."""
    return PlannedArm(role="shadow", version=version, digest=digest, share=0.0)


def arms_of_stage(
    champion: Entry, version: int, digest: str, share: float, *, kind: StrategyKind
) -> tuple[tuple[PlannedArm, ...], PlannedArm | None]:
    """The arms by which a challenger is tried beside the champion, and the shadow."""
    if kind == "shadow":
        return (champion_arm(champion.version, champion.digest),), shadow_arm(version, digest)
    beside = champion_arm(champion.version, champion.digest, 1.0 - share)
    return (beside, challenger_arm(version, digest, share)), None


def arms_evidence(
    use_case: UseCase, arms: tuple[PlannedArm, ...], shadow: PlannedArm | None = None
) -> dict[str, Any]:
    """What a row about traffic holds of its plan, as plain JSON."""
    plan = {
        "arms": [arm.model_dump(mode="json") for arm in arms],
        "shadow": None if shadow is None else shadow.model_dump(mode="json"),
        "unit": list(use_case.release.unit_of(use_case)),
        "salt": use_case.release.salt_of(use_case),
    }
    return {"plan": plan}


def plan_of(entry: Entry) -> Plan:
    """The plan that a row decided; one of a promotion from before the plans has one arm."""
    content = entry.evidence.get("plan") or {}
    arms = content.get("arms")
    if arms is None and entry.event != "promoted":
        raise ReleaseError(
            f"Row {entry.number} of the ledger ({entry.event}) holds no arms: it decided no plan."
        )
    one = champion_arm(entry.version, entry.digest)
    return Plan(
        use_case=entry.use_case,
        sequence=entry.number,
        arms=(one,) if arms is None else tuple(PlannedArm.model_validate(arm) for arm in arms),
        shadow=content.get("shadow"),
        unit=tuple(content.get("unit", ())),
        salt=content.get("salt", entry.use_case),
        decided_by=entry.hash,
    )


def decide(
    settings: Settings,
    ledger: Ledger,
    event: Deciding,
    version: int,
    digest: str,
    *,
    use_case: UseCase,
    arms: tuple[PlannedArm, ...],
    shadow: PlannedArm | None = None,
    actor: str,
    reason: str,
    evidence: dict[str, Any],
    after: int | None,
) -> tuple[Entry, Plan]:
    """Record who answers from now on, then put the plan in force; the row and the plan.

    `after` is the newest row about the use case's traffic that the caller has read. Raises
    `LateStep` when another run or command has changed the traffic since, and nothing is changed.
    """
    content = {**evidence, **arms_evidence(use_case, arms, shadow)}
    entry = ledger.append(
        event, use_case.name, version, digest, actor, reason, content, after=after
    )
    plan = plan_of(entry)
    write_plan(settings, plan)
    return entry, plan
