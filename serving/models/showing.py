"""What a slot shows of itself in metrics and log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from include.model.engine import ENGINES
from include.release.plan import Plan
from serving.contract.metrics import ENGINE, LOADED, PLAN, VERSION
from serving.scoring.served_model import ServedModel

logger = logging.getLogger("flightdeck.serving")


def show_plan(plan: Plan, versions: Sequence[int], serving: ServedModel | None) -> None:
    """Show a plan that has come into force: the versions that answer, the champion first, and the
    champion where it is loaded.
    """
    show_loaded(plan.use_case, serving)
    VERSION.labels(plan.use_case).set(versions[0] if versions else 0)
    PLAN.labels(plan.use_case).set(plan.sequence)
    logger.info(
        "%s: plan %d is in force: %s%s",
        plan.use_case,
        plan.sequence,
        ", ".join(f"version {arm.version} {arm.share:.0%}" for arm in plan.arms) or "no arms",
        ", loaded when it is asked" if plan.arms and serving is None else "",
    )


def show_loaded(use_case: str, serving: ServedModel | None) -> None:
    """Show whether the champion is loaded, and by which engine it scores."""
    for engine in ENGINES:
        ENGINE.labels(use_case, engine).set(
            serving is not None and serving.scorer.engine.name == engine
        )
    LOADED.labels(use_case).set(0 if serving is None else 1)
