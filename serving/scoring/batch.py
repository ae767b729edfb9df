"""A batch of requests of one use case is looked up, scored, flagged and made ready for the log, all
with the same model object.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from include.errors import DataError
from include.features.online.store import OnlineFeatures
from include.inference_log.log import LoggedPrediction, prediction_ids
from include.spec import UseCase
from serving.contract.metrics import FLAGS, stage
from serving.contract.question import Question
from serving.scoring.explaining import Explanation, explain_rows, rows_to_explain
from serving.scoring.lookup import gather_features
from serving.scoring.policy import refuse_by_policy, unscorable
from serving.scoring.scorer import Moment
from serving.scoring.served_model import ServedModel

_Made = tuple[str, dict[str, Any], dict[str, Any], Any, list[str], Explanation | None]


@dataclass(frozen=True)
class Scored:
    """A batch that is ready to be logged: one answer per question, one log row per row."""

    answers: list[bytes]
    log_rows: list[LoggedPrediction]
    flags: dict[str, int]


def score_batch(
    use_case: UseCase,
    served: ServedModel,
    online: OnlineFeatures,
    questions: Sequence[Question],
    *,
    wait: bool = True,
) -> Scored:
    """Answer all questions with `served`; the answers must not leave before the log rows are
    durable.

    With `wait=False` a locked online store raises `sqlite3.OperationalError` at once.
    """
    rows = (
        [row for question in questions for row in question.rows]
        if len(questions) > 1
        else questions[0].rows
    )
    started = time.perf_counter()
    lookup = gather_features(use_case, online, rows, wait=wait)
    refuse_by_policy(use_case, lookup, [len(question.rows) for question in questions])
    looked_up = time.perf_counter()
    sources = [{**features, **row} for features, row in zip(lookup.features, rows, strict=True)]
    try:
        matrix, scores = served.scorer.score(sources)
    except DataError as error:
        raise unscorable(error, len(questions)) from error
    scored = time.perf_counter()
    stage(use_case.name, "lookup").observe(looked_up - started)
    stage(use_case.name, "score").observe(scored - looked_up)
    flags = [
        row_flags(unknown, stale, newer, served.scorer.rows.unseen(source))
        for unknown, stale, newer, source in zip(
            lookup.unknown, lookup.stale, lookup.newer, sources, strict=True
        )
    ]
    identifiers = prediction_ids(len(rows))
    asks_why = [question.explain for question in questions for _ in question.rows]
    explained = explain_rows(
        served.model,
        matrix,
        rows_to_explain(served.model, asks_why, identifiers, use_case.serving.explain_share),
    )
    made = zip(
        identifiers,
        rows,
        lookup.features,
        scores,
        flags,
        map(explained.get, range(len(rows))),
        strict=True,
    )
    return _assemble(
        served,
        questions,
        made,
        Moment(served.version, scored, time.time_ns() // 1000),
        _count(flags),
    )


def _assemble(
    served: ServedModel,
    questions: Sequence[Question],
    made: Iterator[_Made],
    moment: Moment,
    counts: dict[str, int],
) -> Scored:
    scorer = served.scorer
    answers: list[bytes] = []
    log_rows: list[LoggedPrediction] = []
    for question in questions:
        predictions = []
        for identifier, row, features, score, flags, explanation in islice(
            made, len(question.rows)
        ):
            log_rows.append(
                scorer.logged(
                    identifier, row, features, score, flags, question.arrived, moment, explanation
                )
            )
            predictions.append(
                scorer.answered(identifier, score, flags, explanation if question.explain else None)
            )
        answers.append(
            orjson.dumps(
                {
                    "use_case": question.use_case,
                    "model_version": moment.version,
                    "predictions": predictions,
                }
            )
        )
    return Scored(answers, log_rows, counts)


def row_flags(
    unknown: Sequence[str], stale: Sequence[str], newer: Sequence[str], unseen: list[str]
) -> list[str]:
    """Return `unknown:<view>`, `stale:<view>`, `newer:<view>` and `unseen:<input>` of a row."""
    if not (unknown or stale or newer):
        return unseen
    return [
        *(f"unknown:{view}" for view in unknown),
        *(f"stale:{view}" for view in stale),
        *(f"newer:{view}" for view in newer),
        *unseen,
    ]


def count_flags(use_case: str, flags: dict[str, int]) -> None:
    """Add answered flags to the metrics."""
    for flag, rows in flags.items():
        FLAGS.labels(use_case, flag).inc(rows)


def _count(flags: list[list[str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in flags:
        for flag in row:
            counts[flag] = counts.get(flag, 0) + 1
    return counts
