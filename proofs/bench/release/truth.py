"""What a version is in truth, and the answers that it gives: the part of the simulation that is not
shipped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from include.release.analysis.observed import ArmWindow

ERROR_RATE, SLOW_RATE, FALLBACK_RATE = 0.01, 0.05, 0.02
LATENCY_SPREAD = 0.5
"""Standard deviation of the logarithm of a latency: 1.2 times as slow doubles what lies beyond the
95th percentile.
"""
P95 = 1.6448536269514722
SLICES = {"origin=EWR": 0.4, "origin=JFK": 0.35, "origin=LGA": 0.25}
BINS = 10
LOSS, LOSS_VARIANCE, REWARD = 0.15, 0.04, 0.2


@dataclass(frozen=True)
class Version:
    """The rates of one version; `latency` is a factor, `score_shift` moves the scores by that much
    log odds per decile, on all slices or on `wrong_slice` only. `loss` is the mean loss of a row,
    `reward` the chance of one.
    """

    name: str
    errors: float = ERROR_RATE
    fallbacks: float = FALLBACK_RATE
    latency: float = 1.0
    score_shift: float = 0.0
    wrong_slice: str = ""
    flipped: bool = False
    loss: float = LOSS
    reward: float = REWARD

    @cached_property
    def slow(self) -> float:
        """The share of its answers beyond the champion's 95th percentile."""
        return slow_share(self.latency)

    @cached_property
    def score_shares(self) -> np.ndarray:
        """Shares of the scores in the champion's deciles by slice, shape (slices, bins + 1); the
        last bin holds what is no number.
        """
        own = _tilted(self.score_shift)
        own = own[::-1] if self.flipped else own
        champion = _tilted(0.0)
        rows = [
            own if not self.wrong_slice or name == self.wrong_slice else champion for name in SLICES
        ]
        return np.hstack([np.array(rows), np.zeros((len(SLICES), 1))])


@dataclass
class Tally:
    """The counts of one arm under one plan, by slice."""

    rows: np.ndarray
    errors: np.ndarray
    fallbacks: np.ndarray
    slow: np.ndarray
    scores: np.ndarray

    @classmethod
    def empty(cls) -> Tally:
        """No row yet."""
        none = np.zeros(len(SLICES), dtype=np.int64)
        scores = np.zeros((len(SLICES), BINS + 1), dtype=np.int64)
        return cls(none.copy(), none.copy(), none.copy(), none.copy(), scores)

    def add(self, version: Version, rows: int, generator: np.random.Generator) -> None:
        """Let the version answer so many more rows."""
        parts = generator.multinomial(rows, list(SLICES.values()))
        errors = generator.binomial(parts, version.errors)
        self.rows += parts
        self.errors += errors
        self.fallbacks += generator.binomial(parts, version.fallbacks)
        self.slow += generator.binomial(parts, version.slow)
        self.scores += generator.multinomial(parts - errors, version.score_shares)

    def window(self, role: str, plan: int, share: float) -> ArmWindow:
        """All slices together."""
        return ArmWindow(
            role=role,
            version=3 if role == "champion" else 4,
            digest=role[0] * 64,
            plan=plan,
            share=share,
            rows=int(self.rows.sum()),
            errors=int(self.errors.sum()),
            fallbacks=int(self.fallbacks.sum()),
            slow=int(self.slow.sum()),
            scores=tuple(self.scores.sum(axis=0).tolist()),
        )

    def of_slice(self, place: int, role: str, plan: int, share: float) -> ArmWindow:
        """One slice."""
        return ArmWindow(
            role=role,
            version=3 if role == "champion" else 4,
            digest=role[0] * 64,
            plan=plan,
            share=share,
            rows=int(self.rows[place]),
            errors=int(self.errors[place]),
            scores=tuple(self.scores[place].tolist()),
        )


def slow_share(factor: float) -> float:
    """The share of latencies, lognormal and slower by a factor, beyond the 95th percentile."""
    return math.erfc((P95 - math.log(factor) / LATENCY_SPREAD) / math.sqrt(2.0)) / 2.0


def _tilted(shift: float) -> np.ndarray:
    """Equal deciles for 0; a positive shift moves weight to the higher ones. Slightly uneven, so
    that turning them round is a change.
    """
    weights = np.exp((shift - 0.15) * np.arange(BINS))
    return np.asarray(weights / weights.sum())
