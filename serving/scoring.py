"""One batch of requests of one use case: look up, score, flag, log; all with the same model object."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from include.data.inference_log import LoggedPrediction, prediction_ids
from include.features.online import Lookup, OnlineFeatures
from include.spec import UseCase
from serving.explaining import Explanation, explain_rows, rows_to_explain
from serving.given import gather_features
from serving.metrics import FLAGS, STAGE_SECONDS
from serving.models import ServedModel
from serving.policy import refuse_by_policy


@dataclass(slots=True)
class Question:
    """One validated request. `arrived` is `time.perf_counter()` at its arrival; `explain` asks for contributions by input.

    `key` is the request's own id, where the caller gave one, and `fingerprint` what tells it from another request under that id.
    """

    use_case: str
    rows: list[dict[str, Any]]
    arrived: float = field(default_factory=time.perf_counter)
    explain: bool = False
    key: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class Scored:
    """A batch that is ready to be logged: one answer per question, one log row per row."""

    answers: list[bytes]
    log_rows: list[LoggedPrediction]
    flags: dict[str, int]


def score_batch(use_case: UseCase, served: ServedModel, features: OnlineFeatures, questions: Sequence[Question]) -> Scored:
    """Answer all questions with `served`; the answers must not leave before the log rows are durable."""
    rows = [row for question in questions for row in question.rows]
    started = time.perf_counter()
    lookup = gather_features(use_case, features, rows)
    refuse_by_policy(use_case, lookup, [len(question.rows) for question in questions])
    looked_up = time.perf_counter()
    columns = source_columns(use_case, rows, lookup)
    matrix = served.model.transform.apply(columns)
    scores = served.model.score_matrix(matrix)
    STAGE_SECONDS.labels(use_case.name, "lookup").observe(looked_up - started)
    STAGE_SECONDS.labels(use_case.name, "score").observe(time.perf_counter() - looked_up)
    flags = row_flags(served, columns, lookup, len(rows))
    identifiers = prediction_ids(len(rows))
    wanted = [question.explain for question in questions for _ in question.rows]
    chosen = rows_to_explain(served.model, wanted, identifiers, use_case.serving.explain_share)
    explained = explain_rows(served.model, matrix, chosen)
    return _assemble(use_case, served, questions, scores, lookup, flags, identifiers, explained)


def source_columns(use_case: UseCase, rows: Sequence[dict[str, Any]], lookup: Lookup) -> dict[str, list[Any]]:
    """The columns that the model's transform reads: looked-up features beside what the caller sent."""
    given = [*use_case.serving.entity_keys, *(item.name for item in use_case.serving.request_fields), use_case.event_time]
    return {**lookup.columns, **{name: [row[name] for row in rows] for name in given}}


def row_flags(served: ServedModel, columns: dict[str, list[Any]], lookup: Lookup, count: int) -> list[list[str]]:
    """`unknown:<view>`, `stale:<view>` and `unseen:<input>` per row."""
    flags = [
        [*(f"unknown:{view}" for view in lookup.unknown[row]), *(f"stale:{view}" for view in lookup.stale[row])] for row in range(count)
    ]
    for name, column, known in served.categories:
        for row, value in enumerate(columns[column]):
            if value not in known:
                flags[row].append(f"unseen:{name}")
    return flags


def _assemble(
    use_case: UseCase,
    served: ServedModel,
    questions: Sequence[Question],
    scores: np.ndarray,
    lookup: Lookup,
    flags: list[list[str]],
    identifiers: list[str],
    explained: dict[int, Explanation],
) -> Scored:
    threshold = served.model.metadata.decision_threshold
    answered_at = time.time_ns() // 1000
    now = time.perf_counter()
    given = [*use_case.serving.entity_keys, *(item.name for item in use_case.serving.request_fields)]
    names = list(lookup.columns)
    answers: list[bytes] = []
    log_rows: list[LoggedPrediction] = []
    position = 0
    for question in questions:
        predictions = []
        for row in question.rows:
            score = float(scores[position])
            features = {name: lookup.columns[name][position] for name in names}
            log_rows.append(
                LoggedPrediction(
                    prediction_id=identifiers[position],
                    use_case=use_case.name,
                    model_version=served.version,
                    answered_at=answered_at,
                    event_time=_microseconds(row[use_case.event_time]),
                    target_id=row[use_case.id_column],
                    request=orjson.dumps({name: row[name] for name in given}).decode(),
                    features=orjson.dumps(features, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
                    score=score,
                    decision=score >= threshold,
                    flags=orjson.dumps(flags[position]).decode(),
                    latency_ms=(now - question.arrived) * 1000.0,
                    attributions=orjson.dumps(explained[position].as_logged()).decode() if position in explained else None,
                )
            )
            prediction: dict[str, Any] = {
                "prediction_id": identifiers[position],
                "probability": score,
                "decision": score >= threshold,
                "flags": flags[position],
            }
            if question.explain:
                prediction["explanation"] = explained[position].as_answer()
            predictions.append(prediction)
            position += 1
        answers.append(orjson.dumps({"use_case": use_case.name, "model_version": served.version, "predictions": predictions}))
    return Scored(answers, log_rows, _count(flags))


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


def _microseconds(moment: datetime) -> int:
    seconds = int(moment.timestamp()) if moment.microsecond == 0 else int(moment.replace(microsecond=0).timestamp())
    return seconds * 1_000_000 + moment.microsecond
