"""What made the answers of a few rows of the test split, for the reviewer who is to approve them.

The rows are chosen by rule and by nobody's taste: the lowest, the middle and the highest answer,
and the two that were most wrong. Of XGBoost the contributions of a row add up, with the bias, to
its raw score; of anything else they are permutations (`attributions`) and add up to nothing. A
value of a column that the specification marks as private is not written down.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl

from include.evaluation.attributions import (
    TREESHAP,
    contributions,
    method,
    permutations,
    spread_rows,
)
from include.features.transform import FeatureTransform
from include.model.package import ScoringModel
from include.problems.base import ProblemStrategy
from include.spec import UseCase

BIAS = "(bias)"
PRIVATE = "(private)"
MOST_WRONG = 2


def attributed_rows(
    problem: ProblemStrategy[Any],
    model: ScoringModel,
    frame: pl.DataFrame,
    matrix: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
) -> list[dict[str, Any]]:
    """One record for each chosen row and input, of a row the largest contribution first: `why` it
    was chosen, `row`, its `answer` and `label`, `input`, `value`, `contribution`.

    `frame`, `matrix`, `scores` and `labels` are those of the same rows, of which there is at least
    one. Of several classes the contributions are those to the predicted one.
    """
    answers, losses = problem.answer(scores), problem.losses(labels, scores)
    chosen = chosen_rows(answers, losses)
    positions = list(chosen)
    made = _contributions(model, matrix, scores, positions)
    private = _private_columns(problem.use_case)
    shown = _shown(private, model.transform, frame[positions], matrix[positions])
    label = frame[problem.use_case.label.column]
    identifier = problem.use_case.id_column
    clear = identifier not in private and identifier in frame.columns
    records: list[dict[str, Any]] = []
    for place, position in enumerate(positions):
        row = {
            "why": chosen[position],
            "row": str(frame[identifier][position]) if clear else f"number {position}",
            "answer": float(answers[position]),
            "label": label[position],
        }
        records += [
            {**row, "input": name, "value": shown[place].get(name), "contribution": float(value)}
            for name, value in _largest_first(model, made[place])
        ]
    return records


def chosen_rows(answers: np.ndarray, losses: np.ndarray) -> dict[int, str]:
    """Positions of at most five rows, each with why it was chosen; a row that is two things is
    there once.
    """
    order = np.argsort(answers, kind="stable")
    wrong = np.argsort(-losses, kind="stable")[:MOST_WRONG]
    named = [
        (order[-1], "highest answer"),
        (order[len(order) // 2], "middle answer"),
        (order[0], "lowest answer"),
        *((place, "most wrong") for place in wrong),
    ]
    chosen: dict[int, str] = {}
    for place, why in named:
        chosen.setdefault(int(place), why)
    return chosen


def _contributions(
    model: ScoringModel, matrix: np.ndarray, scores: np.ndarray, positions: Sequence[int]
) -> np.ndarray:
    """Shape (chosen rows, inputs), of XGBoost with the bias as one more."""
    if method(model) == TREESHAP:
        values = contributions(model, matrix[positions])
    else:
        # Values are exchanged with those of other rows, so that a few rows alone say nothing.
        sample = np.concatenate([np.asarray(positions), spread_rows(len(matrix))])
        values = permutations(model, matrix[sample])[: len(positions)]
    if values.ndim == len(("rows", "inputs")):
        return values
    predicted = scores[positions].argmax(axis=1)
    return np.asarray(values[np.arange(len(positions)), predicted])


def _largest_first(model: ScoringModel, values: np.ndarray) -> list[tuple[str, float]]:
    """Inputs by the size of their contribution; the bias comes last."""
    names = model.transform.feature_names
    order = np.argsort(-np.abs(values[: len(names)]), kind="stable")
    pairs = [(names[place], float(values[place])) for place in order]
    return [*pairs, *((BIAS, float(value)) for value in values[len(names) :])]


def _private_columns(use_case: UseCase) -> frozenset[str]:
    """What the inference log may not hold as it is."""
    columns = use_case.table(use_case.entity_table).columns
    return frozenset(item.name for item in columns if item.privacy != "clear")


def _shown(
    private: Collection[str],
    transform: FeatureTransform,
    frame: pl.DataFrame,
    matrix: np.ndarray,
) -> list[dict[str, str | None]]:
    """The inputs of each row as people read them: a category as its word, a number as the model
    read it.
    """
    rows: list[dict[str, str | None]] = [{} for _ in range(frame.height)]
    for position, item in enumerate(transform.inputs):
        column = transform.column(item)
        for row, number in enumerate(matrix[:, position]):
            if column in private:
                rows[row][item.name] = PRIVATE
            elif item.kind == "category":
                value = frame[column][row]
                rows[row][item.name] = None if value is None else str(value)
            else:
                rows[row][item.name] = None if np.isnan(number) else f"{number:.6g}"
    return rows
