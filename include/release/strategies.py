"""What follows from a verdict: the next move of a release, by its strategy. Nothing here reads a
clock, a file or a table.

An abort needs a finding that refuses, and comes at once, whatever the time. Everything else waits
for the time and the rows that the strategy declares. What is still undecided when its patience ends
is held for a person: it never passes, and it is never aborted.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from include.release.analysis.registry import ReleaseVerdict
from include.spec import AB, Bandit, BlueGreen, Canary, Direct, Shadow, Strategy
from include.stats import bandit
from include.verdict import NOTHING_JUDGED

MINUTE, HOUR = 60.0, 3600.0
WHOLE = 1.0

MoveKind = Literal["advance", "wait", "hold", "abort", "complete"]


class Move(BaseModel):
    """What the release does next.

    `advance` puts a plan with `challenger_share` in force, `wait` looks again later, `hold` leaves
    the shares and asks a person, `abort` gives all traffic back to the champion, `complete`
    promotes the challenger.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: MoveKind = Field(description="what the release does next")
    challenger_share: float = Field(
        ge=0.0, le=1.0, description="the challenger's share of the traffic after the move"
    )
    reason: str = Field(description="why, as a sentence with figures")


def shares_of(strategy: Strategy) -> tuple[float, ...]:
    """The challenger's share at every step before it is promoted; a bandit's at first is the
    floor.
    """
    if isinstance(strategy, Canary):
        return strategy.steps
    if isinstance(strategy, AB):
        return (strategy.share,)
    if isinstance(strategy, Bandit):
        return (strategy.floor,)
    if isinstance(strategy, Shadow):
        return (0.0,)
    return (WHOLE,) if isinstance(strategy, BlueGreen) else ()


def next_move(
    strategy: Strategy,
    step: int,
    verdict: ReleaseVerdict,
    waited: float,
    *,
    share: float | None = None,
) -> Move:
    """The move after a look at step `step` (from 0), `waited` seconds after its plan came into
    force.

    `share` is the challenger's share now, where it is not the step's: a bandit has one step, whose
    share moves, and `waited` is the time since its first plan.
    """
    if isinstance(strategy, Direct):
        return Move(kind="complete", challenger_share=WHOLE, reason="nothing is compared")
    now = shares_of(strategy)[step] if share is None else share
    if verdict.outcome == "failed":
        return Move(kind="abort", challenger_share=0.0, reason=_refusals(verdict))
    if isinstance(strategy, Bandit):
        return _bandit(strategy, verdict, waited, now)
    bake, patience = _times(strategy)
    if waited < bake:
        reason = f"{waited:,.0f} of {bake:,.0f} seconds of this step have passed"
        return Move(kind="wait", challenger_share=now, reason=reason)
    if verdict.outcome == "passed":
        return _passed(strategy, step, verdict)
    return _undecided(verdict, waited, patience, now)


def _passed(strategy: Strategy, step: int, verdict: ReleaseVerdict) -> Move:
    shares = shares_of(strategy)
    reason = (
        f"{len(verdict.findings)} findings refuse nothing after {verdict.challenger_rows:,} rows"
    )
    if step + 1 < len(shares):
        return Move(kind="advance", challenger_share=shares[step + 1], reason=reason)
    return Move(kind="complete", challenger_share=WHOLE, reason=reason)


def _undecided(verdict: ReleaseVerdict, waited: float, patience: float, share: float) -> Move:
    open_points = "; ".join(finding.sentence for finding in verdict.undecided) or NOTHING_JUDGED
    if waited < patience:
        return Move(kind="wait", challenger_share=share, reason=f"undecided: {open_points}")
    reason = f"undecided after {waited:,.0f} seconds, a person must decide: {open_points}"
    return Move(kind="hold", challenger_share=share, reason=reason)


def _bandit(strategy: Bandit, verdict: ReleaseVerdict, waited: float, share: float) -> Move:
    """A proof of the metric ends it; a posterior that is sure does so only together with the proof,
    for it is looked at again and again.
    """
    probability = verdict.better_probability
    sure = probability is not None and probability >= strategy.certainty
    if verdict.outcome == "passed" and sure:
        reason = f"the challenger is the better one with a probability of {probability:.4f}"
        return Move(kind="complete", challenger_share=WHOLE, reason=reason)
    if waited >= strategy.patience_hours * HOUR:
        return _undecided(verdict, waited, 0.0, share)
    if probability is None:
        reason = "no reward of both versions has matured"
        return Move(kind="wait", challenger_share=share, reason=reason)
    moved = bandit.share(probability, strategy.floor)
    known = ", ".join(
        f"{role} {part['successes']:,.1f} of {part['successes'] + part['failures']:,.0f}"
        for role, part in verdict.posteriors.items()
    )
    reason = (
        f"the challenger is the better one with a probability of {probability:.3f}, by matured"
        f" rewards ({known})"
    )
    return Move(kind="advance", challenger_share=moved, reason=reason)


def _times(strategy: BlueGreen | Shadow | Canary | AB) -> tuple[float, float]:
    """Seconds that a step takes at least, and after which it is no longer waited for."""
    if isinstance(strategy, Canary):
        return strategy.bake_seconds, strategy.patience_seconds
    if isinstance(strategy, BlueGreen):
        watch = strategy.switch_back_minutes * MINUTE
        return watch, watch
    if isinstance(strategy, Shadow):
        return strategy.minutes * MINUTE, strategy.patience_minutes * MINUTE
    return 0.0, strategy.patience_hours * HOUR


def _refusals(verdict: ReleaseVerdict) -> str:
    return "; ".join(finding.sentence for finding in verdict.refused)
