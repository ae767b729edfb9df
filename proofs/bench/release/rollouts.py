"""Whole canaries, simulated: traffic comes, the shipped analysis looks, the shipped strategy moves.

Nothing of the decision is simulated: every look is `analyse`, every move `next_move`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

import numpy as np

from include.release.analysis.observed import Comparison, Matured, Observed, SliceComparison
from include.release.analysis.registry import analyse
from include.release.strategies import Move, next_move, shares_of
from include.spec import Canary, Release
from proofs.bench.release.truth import LOSS_VARIANCE, SLICES, Tally, Version

CHAMPION = Version("champion")
CANARY = Canary(patience_seconds=3600.0)
LOOK_SECONDS = 60.0
MATURED_SHARE = 0.3
"""Of the answers before this look, so many have a label."""
PROCESSES = 2
PARTS = 4


@dataclass(frozen=True)
class Scenario:
    """A challenger, and how many requests a second both versions get together."""

    version: Version
    requests_per_second: float = 20.0
    strategy: Canary = CANARY

    @property
    def requests_per_look(self) -> float:
        """Requests that come between two looks, on average."""
        return self.requests_per_second * LOOK_SECONDS


@dataclass(frozen=True)
class Ended:
    """How one rollout ended: `kind` is complete, abort or hold; `rules` are those that refused."""

    kind: str
    requests: int
    looks: int
    rules: tuple[str, ...]


@dataclass
class Rollout:
    """One rollout as it goes on."""

    scenario: Scenario
    generator: np.random.Generator
    step: int = 0
    seconds: float = 0.0
    requests: int = 0
    looks: int = 0
    tallies: list[tuple[Tally, Tally]] = field(default_factory=list)
    ended: list[Comparison] = field(default_factory=list)
    ended_slices: list[tuple[Comparison, ...]] = field(default_factory=list)
    labelled: tuple[int, int] = (0, 0)
    losses: tuple[float, float] = (0.0, 0.0)

    def run(self) -> Ended:
        """Look until the strategy is at an end."""
        release = Release(strategy=self.scenario.strategy)
        while True:
            self._answer()
            verdict = analyse(release, self._observed())
            move = next_move(self.scenario.strategy, self.step, verdict, self.seconds)
            if move.kind in ("complete", "abort", "hold"):
                rules = tuple(sorted({finding.rule for finding in verdict.refused}))
                return Ended(move.kind, self.requests, self.looks, rules)
            self._follow(move)

    def _answer(self) -> None:
        if len(self.tallies) == self.step:
            self.tallies.append((Tally.empty(), Tally.empty()))
        rows = int(self.generator.poisson(self.scenario.requests_per_look))
        to_challenger = int(self.generator.binomial(rows, self._share))
        champion, challenger = self.tallies[self.step]
        self._mature(int(champion.rows.sum()), int(challenger.rows.sum()))
        champion.add(CHAMPION, rows - to_challenger, self.generator)
        challenger.add(self.scenario.version, to_challenger, self.generator)
        self.seconds += LOOK_SECONDS
        self.requests += rows
        self.looks += 1

    def _mature(self, *answered: int) -> None:
        """The labels of this step's earlier answers become known, a part of them at a time."""
        before = (
            sum(part.champion.rows for part in self.ended),
            sum(part.challenger.rows for part in self.ended),
        )
        counts, sums = list(self.labelled), list(self.losses)
        for arm, mean in enumerate((CHAMPION.loss, self.scenario.version.loss)):
            new = int(MATURED_SHARE * (before[arm] + answered[arm])) - counts[arm]
            if new > 0:
                counts[arm] += new
                sums[arm] += self.generator.normal(new * mean, np.sqrt(new * LOSS_VARIANCE))
        self.labelled, self.losses = (counts[0], counts[1]), (sums[0], sums[1])

    def _observed(self) -> Observed:
        comparison, slices = self._comparisons()
        return Observed(
            "simulated",
            (*self.ended, comparison),
            slow_ms=1.0,
            slices=tuple(
                SliceComparison(label, (*(part[place] for part in self.ended_slices), now))
                for place, (label, now) in enumerate(zip(SLICES, slices, strict=True))
            ),
            matured=tuple(
                Matured("loss", role, count, total / count, LOSS_VARIANCE)
                for role, count, total in zip(
                    ("champion", "challenger"), self.labelled, self.losses, strict=True
                )
                if count
            ),
        )

    def _comparisons(self) -> tuple[Comparison, tuple[Comparison, ...]]:
        (champion, challenger), share, plan = self.tallies[self.step], self._share, self.step
        whole = Comparison(
            champion.window("champion", plan, 1.0 - share),
            challenger.window("challenger", plan, share),
        )
        parts = [
            Comparison(
                champion.of_slice(place, "champion", plan, 1.0 - share),
                challenger.of_slice(place, "challenger", plan, share),
            )
            for place in range(len(SLICES))
        ]
        return whole, tuple(parts)

    def _follow(self, move: Move) -> None:
        if move.kind == "advance":
            comparison, slices = self._comparisons()
            self.ended.append(comparison)
            self.ended_slices.append(slices)
            self.step += 1
            self.seconds = 0.0

    @property
    def _share(self) -> float:
        return shares_of(self.scenario.strategy)[self.step]


def run_many(scenario: Scenario, runs: int, seed: int, pool: Executor | None = None) -> list[Ended]:
    """So many rollouts, in a pool of processes or in this one; the same seed gives the same
    ends.
    """
    seeds = np.random.SeedSequence(seed).spawn(PARTS)
    sizes = [runs // PARTS + (part < runs % PARTS) for part in range(PARTS)]
    run = map if pool is None else pool.map
    parts = run(_run_part, [scenario] * PARTS, sizes, seeds)
    return [ended for part in parts for ended in part]


@contextmanager
def processes() -> Iterator[Executor]:
    """A pool of fresh processes: libraries with threads do not survive a fork."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        yield pool


def shares(ends: Sequence[Ended]) -> dict[str, float]:
    """The shares of rollouts that were promoted, held and refused."""
    counted = Counter(ended.kind for ended in ends)
    names = {"promoted": "complete", "held": "hold", "refused": "abort"}
    return {name: counted[kind] / len(ends) for name, kind in names.items()}


def _run_part(scenario: Scenario, runs: int, seed: np.random.SeedSequence) -> list[Ended]:
    generator = np.random.default_rng(seed)
    return [Rollout(scenario, generator).run() for _ in range(runs)]


SCENARIOS: dict[str, Scenario] = {
    "identical": Scenario(Version("identical")),
    "slightly better": Scenario(
        Version("slightly better", errors=0.008, latency=0.95, loss=0.145, score_shift=0.02)
    ),
    "slightly worse": Scenario(
        Version("slightly worse", errors=0.013, latency=1.05, loss=0.155, score_shift=0.02)
    ),
    "twice the errors": Scenario(Version("twice the errors", errors=0.02)),
    "5 % errors": Scenario(Version("5 % errors", errors=0.05)),
    "1.2 times as slow": Scenario(Version("1.2 times as slow", latency=1.2)),
    "flipped scores": Scenario(Version("flipped scores", flipped=True)),
    "wrong on one slice": Scenario(
        Version("wrong on one slice", flipped=True, wrong_slice="origin=LGA")
    ),
    "ten requests only": replace(
        Scenario(Version("ten requests only")), requests_per_second=10 / CANARY.patience_seconds
    ),
}
