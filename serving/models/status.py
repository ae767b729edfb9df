"""What a slot tells callers about itself."""

from __future__ import annotations

from serving.contract.answers import ArmStatus, ModelStatus, PlanStatus, ShadowStatus
from serving.models.shadow import Shadow
from serving.models.slots import ModelSlot
from serving.models.traffic import Traffic


def status_of(slot: ModelSlot, *, features_ready: bool) -> ModelStatus:
    """Return what serves and what should."""
    traffic, plan = slot.traffic, slot.plan
    served = None if traffic is None else traffic.champion.model
    desired = None if plan is None else plan.champion
    return ModelStatus(
        use_case=slot.use_case.name,
        version=None if served is None else served.version,
        digest=None if served is None else served.digest,
        since=None if served is None else served.since,
        run_id=None if served is None else served.model.metadata.run_id,
        feature_service=None if served is None else served.model.metadata.feature_service,
        desired_version=None if desired is None else desired.version,
        last_error=slot.problem,
        features_ready=features_ready,
        plan=None if traffic is None else _plan_status(traffic, slot.shadow),
    )


def _plan_status(traffic: Traffic, shadow: Shadow | None) -> PlanStatus:
    plan = traffic.issued.plan
    return PlanStatus(
        sequence=plan.sequence,
        decided_by=plan.decided_by,
        unit=list(plan.unit),
        arms=[
            ArmStatus(
                role=arm.role,
                version=arm.version,
                digest=arm.model.digest,
                share=arm.share,
                since=arm.model.since,
            )
            for arm in traffic.arms
        ],
        shadow=None if shadow is None else _shadow_status(shadow),
    )


def _shadow_status(shadow: Shadow) -> ShadowStatus:
    return ShadowStatus(
        version=shadow.version.version,
        digest=shadow.version.digest,
        error=shadow.error,
        dropped_rows=shadow.dropped,
    )
