"""Which decisions a person looks at without being asked: a random share of the answers, and those
whose score lies near the threshold, as the specification's `review` says.

A row belongs to the share by its prediction id, so that the same worklist comes out again, whoever
draws it, and a larger share holds the smaller one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from include.errors import SpecError
from include.inference_log.log import log_table, ship, was_answered
from include.inference_log.writer import is_sampled
from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore, in_window

RANDOM, NEAR = "random share", "near the threshold"


@dataclass(frozen=True)
class Drawn:
    """A decision to look at, and why: `random share` or `near the threshold`. Only the former make
    an estimate of how many answers a person would overturn.
    """

    prediction_id: str
    answered_at: str
    version: int
    score: float
    why: str


def draw(
    settings: Settings, use_case: UseCase, window: Interval, reviewed: Collection[str] = ()
) -> list[Drawn]:
    """The answers of a window (by the clock of the answers) that a person should look at and that
    nobody has reviewed, oldest first. Raises `SpecError` where the specification names none.
    """
    review = use_case.review
    if not (review.share or review.band):
        raise SpecError(
            f"{use_case.name}: review.share and review.band are 0, so that nothing is drawn; say in"
            f" include/use_cases/{use_case.name}/spec.py which share of the answers, or which"
            " distance from the threshold, a person shall look at."
        )
    ship(settings, use_case.name)
    tables, name = TableStore(settings.tables_uri), log_table(use_case.name)
    if not tables.exists(name):
        return []
    stored = tables.scan(name)
    answers = was_answered(stored.collect_schema().names())
    columns = ("prediction_id", "answered_at", "model_version", "score")
    rows = stored.filter(answers & in_window("answered_at", window.start, window.end))
    frame = rows.select(columns).collect().unique("prediction_id").sort("answered_at", *columns[:1])
    drawn = []
    for identifier, answered_at, version, score in frame.iter_rows():
        why = _why(use_case, identifier, score)
        if why is not None and identifier not in reviewed:
            drawn.append(Drawn(identifier, answered_at.isoformat(), version, score, why))
    return drawn


def _why(use_case: UseCase, identifier: str, score: float) -> str | None:
    review = use_case.review
    # Not the id alone: the log's own sample is drawn by it, and would hold or lack all of this one.
    if is_sampled(f"review {identifier}", review.share):
        return RANDOM
    near = abs(score - use_case.serving.decision_threshold) <= review.band
    return NEAR if review.band and near else None
