"""A batch falls into parts, the rows of one arm each; where an arm fails to score a row, the
champion does, and the log says so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.features.online.store import LookedUp
from include.spec import UseCase
from serving.scoring.arm import Arm, Picked
from serving.scoring.explaining import Explanation, explain_rows, rows_to_explain
from serving.scoring.scorer import Moment, Scorer
from serving.scoring.served_model import ServedModel

FAILURES_LIMIT = 16
"""How many rows an arm may fail in one batch before its other rows go to the champion untried: each
of them would keep the event loop.
"""
REASON_CHARACTERS = 200

logger = logging.getLogger("flightdeck.serving")


@dataclass(slots=True)
class Asked:
    """The rows of a batch with what scoring them takes; all lists have one element per row.

    `sources` are a row's request columns and features together, `asks_why` whether its caller wants
    the reasons.
    """

    use_case: UseCase
    rows: Sequence[dict[str, Any]]
    lookup: LookedUp
    sources: list[dict[str, Any]]
    identifiers: list[str]
    asks_why: list[bool]

    @property
    def explains(self) -> bool:
        """Whether any row's reasons may be wanted."""
        return self.use_case.serving.explain_share > 0.0 or True in self.asks_why


ScoredRow = tuple[Scorer, Moment, Any, list[str], Explanation | None]
"""What one row got, by whom and when: its score, the categories unseen in training, and why."""


@dataclass(slots=True)
class Failures:
    """How many rows an arm has failed in a batch, and with what at last."""

    count: int = 0
    reason: str = ""

    def add(self, error: Exception, rows: int) -> None:
        """Note what rows failed with together; one alone counts."""
        self.count += rows == 1
        self.reason = f"{type(error).__name__}: {error}"[:REASON_CHARACTERS]


def score_parts(batch: Asked, picked: Picked) -> list[ScoredRow]:
    """Score every row by its arm, and by the champion where that fails; raises what the champion
    raises.
    """
    if isinstance(picked, Arm):
        return _by_arm(batch, picked, range(len(batch.rows)))
    parts: dict[Arm, list[int]] = {}
    for position, arm in enumerate(picked):
        parts.setdefault(arm, []).append(position)
    scored: dict[int, ScoredRow] = {}
    for arm, positions in parts.items():
        scored.update(zip(positions, _by_arm(batch, arm, positions), strict=True))
    return [scored[position] for position in range(len(picked))]


def _by_arm(batch: Asked, arm: Arm, positions: Sequence[int]) -> list[ScoredRow]:
    if arm.fallback is None:
        return _scored(batch, arm, positions, arm.role, None)
    failures = Failures()
    tried = try_rows(batch, arm, positions, failures)
    failed = [at for at, row in zip(positions, tried, strict=True) if row is None]
    if not failed:
        return [row for row in tried if row is not None]
    instead = iter(_scored(batch, arm.fallback, failed, arm.role, failures.reason))
    return [next(instead) if row is None else row for row in tried]


def try_rows(
    batch: Asked, arm: Arm, positions: Sequence[int], failures: Failures
) -> list[ScoredRow | None]:
    """Score rows by an arm; None where it fails. What fails is halved until the rows at fault are
    alone.
    """
    if failures.count >= FAILURES_LIMIT:
        return [None] * len(positions)
    try:
        return [*_scored(batch, arm, positions, arm.role, None)]
    except Exception as error:  # whatever a challenger raises, its callers are answered
        logger.debug("version %d (%s) fails to score", arm.version, arm.role, exc_info=True)
        failures.add(error, len(positions))
    if len(positions) == 1:
        return [None]
    middle = len(positions) // 2
    return [
        *try_rows(batch, arm, positions[:middle], failures),
        *try_rows(batch, arm, positions[middle:], failures),
    ]


def _scored(
    batch: Asked, arm: Arm, positions: Sequence[int], role: str, failure: str | None
) -> list[ScoredRow]:
    served, sources = arm.model, batch.sources
    if len(positions) < len(sources):
        sources = [sources[at] for at in positions]
    scorer = served.scorer
    matrix, scores = scorer.score(sources)
    moment = Moment(
        served.version,
        time.perf_counter(),
        time.time_ns() // 1000,
        served.digest,
        role,
        arm.plan,
        failure,
    )
    unseen = scorer.rows.unseen
    if not batch.explains:
        return [
            (scorer, moment, score, unseen(source), None)
            for source, score in zip(sources, scores, strict=True)
        ]
    explained = _explained(batch, served, matrix, positions)
    return [
        (scorer, moment, score, unseen(source), explained.get(number))
        for number, (source, score) in enumerate(zip(sources, scores, strict=True))
    ]


def _explained(
    batch: Asked, served: ServedModel, matrix: np.ndarray, positions: Sequence[int]
) -> dict[int, Explanation]:
    """The reasons of rows of `matrix`, by their number in it."""
    asks_why = [batch.asks_why[at] for at in positions]
    identifiers = [batch.identifiers[at] for at in positions]
    share = batch.use_case.serving.explain_share
    chosen = rows_to_explain(served.model, asks_why, identifiers, share)
    return explain_rows(served.model, matrix, chosen)
