"""A batch of requests of one use case is looked up, scored, flagged and made ready for the log,
each row with the model object of the arm that it falls on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from include.errors import DataError
from include.features.online.store import OnlineFeatures
from include.inference_log.log import LoggedPrediction, prediction_ids
from include.spec import UseCase
from serving.contract.metrics import FLAGS, stage
from serving.contract.question import Question
from serving.scoring.arm import Arm, Picked
from serving.scoring.lookup import gather_features
from serving.scoring.parts import Asked, ScoredRow, score_parts
from serving.scoring.policy import contract_changed, refuse_by_policy, unscorable


@dataclass(frozen=True)
class Scored:
    """A batch that is ready to be logged: one answer per question, one log row per row, and what
    each row was scored from.
    """

    answers: list[bytes]
    log_rows: list[LoggedPrediction]
    flags: dict[str, int]
    sources: list[dict[str, Any]] = field(default_factory=list)


def score_batch(
    use_case: UseCase,
    picked: Picked,
    online: OnlineFeatures,
    questions: Sequence[Question],
    *,
    wait: bool = True,
) -> Scored:
    """Answer all questions with the arms that were picked for them; the answers must not leave
    before the log rows are durable.

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
    batch = Asked(
        use_case,
        rows,
        lookup,
        [{**features, **row} for features, row in zip(lookup.features, rows, strict=True)],
        prediction_ids(len(rows)),
        [question.explain for question in questions for _ in question.rows],
    )
    try:
        scored = score_parts(batch, picked)
    except DataError as error:
        raise unscorable(error, len(questions)) from error
    except KeyError as error:
        arms = [picked] if isinstance(picked, Arm) else picked
        read = [name for arm in arms for name in arm.model.model.transform.columns]
        raise contract_changed(error, read) from error
    stage(use_case.name, "lookup").observe(looked_up - started)
    stage(use_case.name, "score").observe(scored[-1][1].now - looked_up)
    return _assemble(questions, batch, scored)


def _assemble(questions: Sequence[Question], batch: Asked, scored: Sequence[ScoredRow]) -> Scored:
    lookup = batch.lookup
    flags = [
        row_flags(unknown, stale, newer, row[3])
        for unknown, stale, newer, row in zip(
            lookup.unknown, lookup.stale, lookup.newer, scored, strict=True
        )
    ]
    made = zip(batch.identifiers, batch.rows, lookup.features, flags, scored, strict=True)
    answers: list[bytes] = []
    log_rows: list[LoggedPrediction] = []
    for question in questions:
        predictions = []
        first = len(log_rows)
        for identifier, row, features, row_flag, (scorer, moment, score, _, why) in islice(
            made, len(question.rows)
        ):
            log_rows.append(
                scorer.logged(
                    identifier, row, features, score, row_flag, question.arrived, moment, why
                )
            )
            predictions.append(
                scorer.answered(identifier, score, row_flag, why if question.explain else None)
            )
        answers.append(_answer(question, predictions, log_rows, first))
    return Scored(answers, log_rows, _count(flags), batch.sources)


def _answer(
    question: Question,
    predictions: list[dict[str, Any]],
    log_rows: Sequence[LoggedPrediction],
    first: int,
) -> bytes:
    """The answer to one question, whose log rows begin at `first`; where several versions have
    answered its rows, each prediction names its own.
    """
    version: int | None = log_rows[first].model_version
    versions = [row.model_version for row in log_rows[first : first + len(predictions)]]
    if len(versions) > 1 and versions.count(versions[0]) < len(versions):
        version = None
        for prediction, own in zip(predictions, versions, strict=True):
            prediction["model_version"] = own
    return orjson.dumps(
        {
            "use_case": question.use_case,
            "model_version": version,
            "predictions": predictions,
        }
    )


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
