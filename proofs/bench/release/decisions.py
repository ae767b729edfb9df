"""A/B tests and bandits, simulated as rollouts are: rewards mature one look late, the shipped
analysis looks, the shipped strategy moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.errors import FlightdeckError
from include.release.analysis.observed import ArmWindow, Comparison, Matured, Observed
from include.release.analysis.registry import analyse
from include.release.strategies import next_move, shares_of
from include.spec import AB, Bandit, Release
from proofs.bench.release.rollouts import Ended
from proofs.bench.release.truth import REWARD

LOOK_HOURS = 6.0
REQUESTS_PER_LOOK = 1_000
HOUR = 3600.0
SEED = 12
TEST = AB(metric="reward", minimum_rows=1_000)
BANDIT = Bandit(minimum_rows=1_000)


@dataclass(frozen=True)
class Contest:
    """A strategy that decides by rewards, and the chance of one that the challenger has."""

    strategy: AB | Bandit
    reward: float


@dataclass(frozen=True)
class Decided:
    """How a contest ended, and the challenger's share of all its traffic."""

    ended: Ended
    traffic: float


CONTESTS: dict[str, Contest] = {
    "A/B, identical": Contest(TEST, REWARD),
    "A/B, a tenth better": Contest(TEST, 1.1 * REWARD),
    "A/B, a tenth worse": Contest(TEST, 0.9 * REWARD),
    "bandit, identical": Contest(BANDIT, REWARD),
    "bandit, a tenth better": Contest(BANDIT, 1.1 * REWARD),
    "bandit, a tenth worse": Contest(BANDIT, 0.9 * REWARD),
}


def decide(contest: Contest, generator: np.random.Generator) -> Decided:
    """One contest to its end."""
    release = Release(strategy=contest.strategy)
    share, waited = shares_of(contest.strategy)[0], 0.0
    rows, known, rewards = np.zeros(2, int), np.zeros(2, int), np.zeros(2)
    for look in range(1, 10_000):
        new = rows - known
        rewards += generator.binomial(new, [REWARD, contest.reward])
        known = rows.copy()
        challenger = int(generator.binomial(REQUESTS_PER_LOOK, share))
        rows += [REQUESTS_PER_LOOK - challenger, challenger]
        waited += LOOK_HOURS * HOUR
        verdict = analyse(release, _observed(rows, known, rewards, share))
        move = next_move(contest.strategy, 0, verdict, waited, share=share)
        if move.kind in ("complete", "abort", "hold"):
            rules = tuple(sorted({finding.rule for finding in verdict.refused}))
            ended = Ended(move.kind, int(rows.sum()), look, rules)
            return Decided(ended, float(rows[1] / rows.sum()))
        share = move.challenger_share
    raise FlightdeckError("A contest did not end, though its patience did.")


def decide_many(contest: Contest, runs: int) -> list[Decided]:
    """So many contests; the same each time."""
    generator = np.random.default_rng(SEED)
    return [decide(contest, generator) for _ in range(runs)]


def _observed(rows: np.ndarray, known: np.ndarray, rewards: np.ndarray, share: float) -> Observed:
    champion, challenger = (int(count) for count in rows)
    step = Comparison(
        ArmWindow("champion", 3, "c" * 64, 1, 1.0 - share, champion, scores=(champion, 0)),
        ArmWindow("challenger", 4, "d" * 64, 1, share, challenger, scores=(challenger, 0)),
    )
    matured = tuple(
        Matured("reward", role, int(count), total / count, total / count * (1 - total / count))
        for role, count, total in zip(("champion", "challenger"), known, rewards, strict=True)
        if count
    )
    return Observed("simulated", (step,), slow_ms=1.0, matured=matured)
