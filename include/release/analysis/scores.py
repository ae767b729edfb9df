"""Are the challenger's scores distributed otherwise than the champion's on concurrent traffic?

A new model's scores do differ, so a difference must be proved *and* large: the population stability
index between both arms' scores, less what chance makes of so few rows, above the declared limit. An
index sees every step over an edge of a bin, however short, and traffic of one afternoon lies in few
bins; so the scores must also have moved by a part of the champion's range (the distance of
Kantorovich and Wasserstein, over the bins).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from include.release.analysis.base import AnalysisInput, row_share, too_few
from include.release.analysis.observed import Comparison
from include.stats.psi import psi, psi_noise
from include.stats.sequential import dependence_evidence, log_threshold
from include.verdict import Finding

MINIMUM_ROWS = 50
"""Of each arm, as if all were independent; with fewer, an index over ten bins is noise alone."""


EDGES = 2
LEAST_MOVE = 0.2
"""Of the range between the champion's lowest and highest inner edge, its first and ninth decile."""


@dataclass(frozen=True)
class Shift:
    """How far the challenger's scores are from the champion's: the index, what chance alone makes
    of it, the log e-value that both differ at all, and the distance as a part of the champion's
    range (infinite where the bins' edges are not known).
    """

    index: float
    noise: float
    evidence: float
    move: float = inf

    def fails(self, limit: float, alpha: float) -> bool:
        """Whether it is proved, and beyond the limit by more than chance."""
        proved = self.evidence >= log_threshold(alpha) and self.index - self.noise > limit
        return proved and self.move > LEAST_MOVE

    def leans(self, limit: float) -> bool:
        """Whether more rows could prove it."""
        return self.index > limit and self.move > LEAST_MOVE


def shift_of(steps: Sequence[Comparison], edges: Sequence[float] = ()) -> Shift | None:
    """Compare the scores of both arms over all steps; None with too few rows or without bins."""
    counted = [step for step in steps if step.champion.scores and step.challenger.scores]
    if not counted:
        return None
    # Units are what chance assigns: a unit that asks twenty times shows one score, not twenty.
    effects = np.array([[step.clustering.scores] for step in counted])
    challenger = np.array([step.challenger.scores for step in counted]) / effects
    champion = np.array([step.champion.scores for step in counted]) / effects
    if min(challenger.sum(), champion.sum()) < MINIMUM_ROWS:
        return None
    # Each step's champion with the weight of the challenger's rows: traffic differs from hour to
    # hour, and the shares from step to step.
    rows = np.maximum(champion.sum(axis=1, keepdims=True), 1.0)
    expected = (champion / rows * challenger.sum(axis=1, keepdims=True)).sum(axis=0)
    shares = challenger.sum(axis=0) / challenger.sum()
    noise = psi_noise(challenger.shape[1], int(challenger.sum()), int(champion.sum()))
    expected = expected / expected.sum()
    move = _move(expected, shares, edges)
    return Shift(psi(expected, shares), noise, _evidence(counted), move)


def scores(case: AnalysisInput) -> list[Finding]:
    """The whole traffic; its parts are the slices' question."""
    limit, shift = (
        case.release.analysis.max_score_psi,
        shift_of(case.observed.steps, case.observed.score_edges),
    )
    if shift is None:
        rows = case.observed.now.challenger.rows
        reason = "too few scores of both versions to compare them"
        return [too_few("scores", case.subject, rows, MINIMUM_ROWS, reason)]
    return [score_finding(case, "scores", shift, limit, case.alpha("scores"))]


def score_finding(
    case: AnalysisInput, question: str, shift: Shift, limit: float, alpha: float, part: str = ""
) -> Finding:
    """The finding that follows from a shift."""
    fails = shift.fails(limit, alpha)
    leans = not fails and shift.leans(limit)
    tail = "more requests will decide" if leans else "within the limit"
    return Finding(
        rule=question,
        subject=case.subject,
        part=part,
        metric="score_psi",
        observed=shift.index,
        limit=limit,
        passed=not fails,
        judged=not leans,
        reason=f"chance alone makes {shift.noise:.2g}{_moved(shift)};"
        f" {'the scores are distributed otherwise' if fails else tail}",
    )


def _moved(shift: Shift) -> str:
    if shift.move == inf:
        return ""
    return f", the scores moved by {100 * shift.move:.2g} % of the champion's range"


def _move(expected: np.ndarray, shares: np.ndarray, edges: Sequence[float]) -> float:
    """The distance of two distributions over bins with these inner edges, over their range. What is
    no number counts as moved over the whole of it.
    """
    places = np.asarray(edges, dtype=np.float64)
    if places.size < EDGES:
        return inf
    apart = np.abs(np.cumsum(expected - shares)[: places.size])
    width = float(places[-1] - places[0])
    distance = float(np.sum((apart[1:] + apart[:-1]) / 2.0 * np.diff(places)))
    return distance / width + abs(float(expected[-1] - shares[-1]))


def _evidence(steps: Sequence[Comparison]) -> float:
    """With both shares, as for events; the weaker counts. A version
    that was alone is compared with the rows before it, by the index only.
    """
    if not all(step.concurrent for step in steps):
        return np.inf
    return min(_evidence_at(steps, planned=True), _evidence_at(steps, planned=False))


def _evidence_at(steps: Sequence[Comparison], *, planned: bool) -> float:
    evidence = 0.0
    for step in steps:
        hits = np.array(step.challenger.scores) / step.clustering.scores
        events = hits + np.array(step.champion.scores) / step.clustering.scores
        share = step.share if planned else row_share(step)
        if 0.0 < share < 1.0:
            evidence += float(dependence_evidence(hits, events, share))
    return evidence


SCORE_QUESTIONS = (scores,)
