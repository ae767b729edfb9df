"""Our endpoint with nothing recorded: no log rows, no commit, no metrics. What it wins is their cost; never serve with it."""

from __future__ import annotations

from typing import Any

import serving.lane
import serving.runtime
import serving.scoring
from serving.errors import RequestError
from serving.lane import Lane
from serving.scorer import Scorer
from serving.waiting import Job, resolve


class Nothing:
    """Takes every observation and keeps none."""

    def observe(self, _: float) -> None:
        """Do nothing."""


NOTHING = Nothing()


def no_stage(*_: Any) -> Nothing:
    """Instead of a histogram."""
    return NOTHING


class QuietLane(Lane):
    """Answers as soon as a batch is scored."""

    def _score_now(self, name: str, jobs: list[Job]) -> None:
        questions = [job.question for job in jobs if job.question is not None]
        try:
            scored = serving.scoring.score_batch(self.use_cases[name], self.model(name), self.stores.get(name), questions, wait=False)
        except RequestError as error:
            resolve([(job.future, None, error) for job in jobs])
        else:
            resolve([(job.future, answer, None) for job, answer in zip(jobs, scored.answers, strict=True)])


def no_row(*_: Any) -> None:
    """Instead of a row of the log."""


for module in (serving.lane, serving.runtime, serving.scoring):
    module.stage = no_stage  # type: ignore[attr-defined]
serving.runtime.Lane = QuietLane  # type: ignore[attr-defined]
Scorer.logged = no_row  # type: ignore[method-assign,assignment]

from serving.asgi import application  # noqa: E402  (what it runs is replaced above)

__all__ = ["application"]
