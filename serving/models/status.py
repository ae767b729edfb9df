"""What a slot tells callers about itself."""

from __future__ import annotations

from serving.contract.answers import ArmStatus, Loading, ModelStatus, PlanStatus, ShadowStatus
from serving.models.shadow import Shadow
from serving.models.slots import ModelSlot
from serving.models.standing import Standing
from serving.models.traffic import Traffic


def status_of(slot: ModelSlot, *, features_ready: bool) -> ModelStatus:
    """Return what serves and what should."""
    traffic, standing, plan = slot.traffic, slot.standing, slot.plan
    served = None if traffic is None else traffic.champion.model
    desired = None if plan is None else plan.champion
    answers = standing is not None and standing.passed
    arm = standing.arm if standing is not None and answers else None
    metadata = standing.metadata if standing is not None and answers else None
    if served is not None:
        metadata = served.model.metadata
    return ModelStatus(
        use_case=slot.use_case.name,
        version=served.version if served else arm.version if arm else None,
        digest=served.digest if served else arm.digest if arm else None,
        since=served.since if served else None,
        run_id=None if metadata is None else metadata.run_id,
        feature_service=None if metadata is None else metadata.feature_service,
        desired_version=None if desired is None else desired.version,
        last_error=slot.problem,
        features_ready=features_ready,
        loading=_loading_of(slot, traffic, standing),
        plan=_plan_status(slot, traffic, standing),
    )


def _loading_of(slot: ModelSlot, traffic: Traffic | None, standing: Standing | None) -> Loading:
    if traffic is not None:
        return "loaded"
    if standing is None:
        return "none"
    if slot.load_error is not None:
        return "failed"
    return "ready" if standing.passed else "untried"


def _plan_status(
    slot: ModelSlot, traffic: Traffic | None, standing: Standing | None
) -> PlanStatus | None:
    if traffic is not None:
        since = {arm.version: arm.model.since for arm in traffic.arms}
        plan = traffic.issued.plan
    elif standing is not None and standing.passed:
        since, plan = {}, standing.issued.plan
    else:
        return None
    return PlanStatus(
        sequence=plan.sequence,
        decided_by=plan.decided_by,
        unit=list(plan.unit),
        arms=[
            ArmStatus(
                role=arm.role,
                version=arm.version,
                digest=arm.digest,
                share=arm.share,
                since=since.get(arm.version),
            )
            for arm in plan.arms
        ],
        shadow=None if slot.shadow is None else _shadow_status(slot.shadow),
    )


def _shadow_status(shadow: Shadow) -> ShadowStatus:
    return ShadowStatus(
        version=shadow.version.version,
        digest=shadow.version.digest,
        error=shadow.error,
        dropped_rows=shadow.dropped,
    )
