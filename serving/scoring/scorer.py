"""The scorer turns a use case's rows into scores, log rows and answers by one model; what can be
known before a request comes is prepared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from include.features.row_transform import RowTransform
from include.inference_log.log import CHAMPION, LoggedPrediction
from include.model.engine import Engine, open_engine
from include.model.package import ScoringModel, golden_columns
from include.spec import UseCase
from serving.scoring.explaining import Explanation, explain_rows, is_explainable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Moment(NamedTuple):
    """When rows are answered, by which version, and for which arm of which plan.

    `now` is `time.perf_counter()`, `answered_at` microseconds since 1970. `arm` is the role of the
    arm that the rows fell on; where it could not score them, `fallback` says why, and version and
    digest are the champion's.
    """

    version: int
    now: float
    answered_at: int
    digest: str | None = None
    arm: str = CHAMPION
    plan: int = 0
    fallback: str | None = None


class Scorer:
    """Scores with one model; immutable once it is warm, and safe to share between threads.

    `explain_seconds` is what the reasons of one row take.
    """

    def __init__(self, use_case: UseCase, model: ScoringModel) -> None:
        self.use_case = use_case
        self.model = model
        self.explain_seconds = 0.0
        self.engine: Engine = open_engine(model)
        self.rows = RowTransform(model.transform)
        self.answers = model.metadata.answers
        self.request_columns = [
            *use_case.serving.entity_keys,
            *(item.name for item in use_case.serving.request_fields),
        ]
        self.features = list(
            dict.fromkeys(name.replace(":", "__") for name in use_case.feature_references)
        )

    def warm_up(self, rounds: int) -> None:
        """Score a golden row a few times, and see what explaining it takes."""
        columns = golden_columns(self.model.transform, self.model.golden["rows"][:1])
        row = {name: values[0] for name, values in columns.items()}
        for _ in range(rounds):
            matrix, _scores = self.score([row])
        if is_explainable(self.model):
            self.explain_seconds = min(
                _seconds(partial(explain_rows, self.model, matrix, [0])) for _ in range(rounds)
            )

    def score(self, sources: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, list[Any]]:
        """Return the transformed matrix and the scores of rows that map every source column to its
        value; of several classes a list each.
        """
        matrix = self.rows.matrix(sources)
        return matrix, self.engine.predict(matrix).tolist()

    def logged(
        self,
        identifier: str,
        row: Mapping[str, Any],
        features: Mapping[str, Any],
        score: Any,
        flags: Sequence[str],
        arrived: float,
        moment: Moment,
        explanation: Explanation | None,
    ) -> LoggedPrediction:
        """Return the row of the inference log; of several classes with the probability of the
        predicted one. Only binary answers decide.
        """
        return LoggedPrediction(
            identifier,
            self.use_case.name,
            moment.version,
            moment.answered_at,
            (row[self.use_case.event_time] - EPOCH) // MICROSECOND,
            row[self.use_case.id_column],
            {name: row.get(name) for name in self.request_columns},
            features,
            self.answers.main_score(score),
            self.answers.decision(score),
            flags,
            (moment.now - arrived) * 1000.0,
            moment.arm,
            None if explanation is None else explanation.as_logged(),
            self.answers.predicted_class(score),
            moment.plan,
            moment.digest,
            moment.fallback,
        )

    def answered(
        self, identifier: str, score: Any, flags: Sequence[str], explanation: Explanation | None
    ) -> dict[str, Any]:
        """Return the row of the answer, as `serving.contract.answers` describes it for the
        problem.
        """
        answer = {"prediction_id": identifier, **self.answers.fields(score), "flags": flags}
        if explanation is not None:
            answer["explanation"] = explanation.as_answer()
        return answer


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
