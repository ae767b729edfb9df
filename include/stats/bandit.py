"""Thompson sampling between two versions, by what their answers have earned.

The probability that a version's mean reward is the larger one is also the share of the traffic that
Thompson sampling (1933; Russo et al., "A Tutorial on Thompson Sampling", 2018) gives it. It is
computed instead of drawn, so the same outcomes give the same shares. Rewards between 0 and 1 count
as that much of a success (Agrawal and Goyal, "Analysis of Thompson sampling for the multi-armed
bandit problem", 2012). Only matured rewards are counted: an answer whose reward is not known yet is
neither a success nor a failure, or the version that was put in later would look worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID = 801


@dataclass(frozen=True)
class Posterior:
    """What is known of one version's mean reward: Beta(successes + 1, failures + 1)."""

    successes: float
    failures: float

    def as_json(self) -> dict[str, float]:
        """Both numbers."""
        return {"successes": self.successes, "failures": self.failures}


def posterior(rows: int, mean: float, least: float, most: float) -> Posterior:
    """The posterior after `rows` matured rewards with that mean; `least` and `most` are those of
    all versions, and no reward tells anything where they are equal.
    """
    width = most - least
    share = min(max((mean - least) / width, 0.0), 1.0) if width > 0.0 else 0.5
    return Posterior(rows * share, rows * (1.0 - share))


def better_probability(challenger: Posterior, champion: Posterior) -> float:
    """The probability that the challenger's mean reward is the larger one."""
    from scipy.stats import beta

    first = beta(challenger.successes + 1.0, challenger.failures + 1.0)
    second = beta(champion.successes + 1.0, champion.failures + 1.0)
    # Where the challenger's mean may lie, in steps of equal probability.
    steps = (np.arange(GRID) + 0.5) / GRID
    return float(second.cdf(first.ppf(steps)).mean())


def share(probability: float, floor: float) -> float:
    """The challenger's share of the traffic: its probability of being the better one, with at least
    `floor` for each version, so that a loser can still prove better.
    """
    return min(max(probability, floor), 1.0 - floor)
