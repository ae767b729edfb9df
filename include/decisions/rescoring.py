"""A logged answer scored again by the very version that answered, and what each input made of it.

The package's signature is checked before it is loaded, and its digest against the one in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson
import polars as pl

from include.errors import DataError, FlightdeckError, RegistryError
from include.evaluation.attributions import TREESHAP, contributions, method
from include.inference_log.redaction import Redaction
from include.model.package import ScoringModel, load_model
from include.release.packages import opened_package
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

TOLERANCE = 1e-6
"""Scores are computed in float32: another engine or number of rows at once moves the last digit."""
BASE = "base_value"


@dataclass(frozen=True)
class Rescored:
    """What came out when the answer was scored again.

    `same` is whether decision and score are those of the log, the latter within 1e-6; `problem`
    says why it could not be scored (`same` is then None), or why there are no contributions.
    `contributions` are in the model's raw score, in log odds or in the label's unit, the largest
    first; with `base_value` they add up to it. `source` says whose they are: `computed` now, or
    those that the `log` holds.
    """

    score: float | None = None
    same: bool | None = None
    difference: float | None = None
    threshold: float | None = None
    base_value: float | None = None
    contributions: dict[str, float] | None = None
    source: str | None = None
    problem: str | None = None


def rescore(settings: Settings, use_case: UseCase, row: pl.DataFrame) -> Rescored:
    """Score the log's one row again. Whatever hinders it is told in `problem` and raises nothing:
    the rest of the record must be readable when a package is gone.
    """
    answer = row.row(0, named=True)
    version, digest = int(answer["model_version"]), answer.get("model_digest")
    try:
        with opened_package(settings, use_case, version, digest) as folder:
            model = load_model(folder, expected_digest=digest)
    except (FlightdeckError, OSError) as error:
        return _with_logged(
            Rescored(
                problem=f"The package of version {version} that answered cannot be loaded, so that"
                f" nothing is scored again: {error} A backup of the model store has it"
                " (docs/backup.md)."
            ),
            answer,
        )
    try:
        scored = _scored(model, _readable(settings, use_case, model, row), answer)
    except FlightdeckError as error:
        return _with_logged(Rescored(problem=str(error)), answer)
    return scored if scored.contributions is not None else _with_logged(scored, answer)


def _scored(model: ScoringModel, frame: pl.DataFrame, answer: dict[str, Any]) -> Rescored:
    matrix = model.transform.apply_frame(frame)
    scores = model.score_matrix(matrix)
    again = pl.DataFrame(model.metadata.answers.columns(scores)).row(0, named=True)
    difference = abs(again["score"] - answer["score"])
    decided = [name for name in again if name != "score" and again[name] is not None]
    result = Rescored(
        score=again["score"],
        same=difference <= TOLERANCE and all(again[name] == answer[name] for name in decided),
        difference=difference,
        threshold=None if again["decision"] is None else model.metadata.decision_threshold,
    )
    if method(model) != TREESHAP:
        estimator = model.metadata.estimator
        problem = f"{estimator} has no trees whose contributions add up to its score."
        return replace(result, problem=problem)
    values = contributions(model, matrix)[0]
    if values.ndim > 1:
        values = values[int(scores[0].argmax())]
    named = dict(zip(model.transform.feature_names, values[:-1].tolist(), strict=True))
    return _with_contributions(result, named, float(values[-1]), "computed")


def _readable(
    settings: Settings, use_case: UseCase, model: ScoringModel, row: pl.DataFrame
) -> pl.DataFrame:
    """The row with what the model reads of it. Raises `DataError` where the log hides or lacks some
    of that.
    """
    redaction, columns = Redaction(settings, use_case), set(model.transform.columns)
    hidden = sorted(columns & set(redaction.marked))
    frame = row
    if hidden:
        frame = redaction.lift(TableStore(settings.tables_uri), row)
        if all(frame[name][0] is None for name in hidden):
            raise DataError(
                f"The log hides {hidden}, which the model reads, and the entity table does not know"
                " the id: this answer cannot be scored again."
            )
    missing = sorted(columns - set(frame.columns))
    if missing:
        raise RegistryError(f"The version reads {missing}, which the log does not hold.")
    return frame


def _with_logged(result: Rescored, answer: dict[str, Any]) -> Rescored:
    """The result with the contributions that the log holds, where somebody asked for them then."""
    text = answer.get("attributions")
    if not text:
        return result
    values: dict[str, float] = orjson.loads(text)
    return _with_contributions(result, values, values.pop(BASE), "log")


def _with_contributions(
    result: Rescored, values: dict[str, float], base_value: float, source: str
) -> Rescored:
    largest_first = sorted(values.items(), key=lambda item: -abs(item[1]))
    return replace(result, contributions=dict(largest_first), base_value=base_value, source=source)
