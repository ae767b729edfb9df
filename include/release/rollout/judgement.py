"""What one look at a stage of a rollout leads to: what was observed, the verdict on it, and the
strategy's next move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from include.release.analysis.observe import observe
from include.release.analysis.registry import analyse
from include.release.plan import Plan
from include.release.rollout.stages import Stage
from include.release.strategies import Move, next_move
from include.settings import Settings
from include.spec import UseCase
from include.verdict import Verdict


@dataclass(frozen=True)
class Judgement:
    """The verdict, the move that follows from it, and what of it the ledger keeps."""

    move: Move
    verdict: Verdict
    evidence: dict[str, Any] = field(default_factory=dict)


def judge_stage(
    settings: Settings, use_case: UseCase, plans: Sequence[Plan], *, stage: Stage, waited: float
) -> Judgement:
    """Look at everything that the rollout's plans (the one in force last) have let both versions
    answer, `waited` seconds after the stage began.
    """
    observed = observe(settings, use_case, plans)
    verdict = analyse(use_case.release, observed)
    share = observed.now.challenger.share
    move = next_move(use_case.release.strategy, stage.index, verdict, waited, share=share)
    return Judgement(move, verdict, {"waited_seconds": round(waited, 1)})
