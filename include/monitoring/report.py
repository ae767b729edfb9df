"""Evidently's drift report, for people: the interval's inputs and scores beside the training
snapshot's.

Evidently fails as a whole on one empty column, so columns without a value on a side are left out
and listed. It is given our measure and limits, on a sample; what it concludes decides nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.model.package import ScoringModel
from include.spec import UseCase
from include.tables.store import TableStore

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

SAMPLE_ROWS = 5_000
SCORE = "score"
NO_TELEMETRY = {"DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Sides:
    """Both sides with the same columns, ready for Evidently;

    `left_out` maps a column to why it is not shown.
    """

    current: pl.DataFrame
    reference: pl.DataFrame
    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    left_out: dict[str, str]


def sides(
    use_case: UseCase, tables: TableStore, model: ScoringModel, predictions: pl.DataFrame
) -> Sides:
    """A repeatable sample of the predictions and of the champion's training snapshot, scored alike.

    Raises `TableNotFound` when the snapshot's version is gone.
    """
    snapshot = model.metadata.snapshot
    trained = _sample(use_case, tables.read(snapshot.name, version=snapshot.version))
    scored = trained.with_columns(pl.Series(SCORE, model.score_frame(trained), dtype=pl.Float64))
    return compare_columns(_shown(model, _sample(use_case, predictions)), _shown(model, scored))


def compare_columns(current: pl.DataFrame, reference: pl.DataFrame) -> Sides:
    """Split the columns by type and leave out those that have no value, or an infinite one, on
    either side.
    """
    left_out: dict[str, str] = {}
    for name in current.columns:
        for side, frame in (("current", current), ("reference", reference)):
            problem = _problem(frame[name])
            if problem:
                left_out.setdefault(name, f"{problem} in the {side} rows")
    shown = [name for name in current.columns if name not in left_out]
    categories = tuple(name for name in shown if current.schema[name] == pl.String)
    numbers = tuple(name for name in shown if name not in categories)
    return Sides(current.select(shown), reference.select(shown), categories, numbers, left_out)


def render(use_case: UseCase, compared: Sides) -> tuple[str, dict[str, Any]]:
    """The report as one HTML page that needs no network, and Evidently's own result as JSON."""
    os.environ.update(NO_TELEMETRY)
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    limits = use_case.monitoring
    definition = DataDefinition(
        numerical_columns=list(compared.numbers), categorical_columns=list(compared.categories)
    )
    current, reference = (
        Dataset.from_pandas(frame.to_pandas(), data_definition=definition)
        for frame in (compared.current, compared.reference)
    )
    preset = DataDriftPreset(
        method="psi", threshold=limits.feature_psi, drift_share=limits.drifted_share
    )
    snapshot: Snapshot = Report([preset]).run(current, reference)
    return snapshot.get_html_str(as_iframe=False), snapshot.dict()


def _sample(use_case: UseCase, frame: pl.DataFrame) -> pl.DataFrame:
    ordered = frame.sort(use_case.event_time, use_case.id_column)
    if ordered.height <= SAMPLE_ROWS:
        return ordered
    return ordered.sample(SAMPLE_ROWS, seed=use_case.training.seed)


def _shown(model: ScoringModel, frame: pl.DataFrame) -> pl.DataFrame:
    """Inputs by name as the model reads them, categories as the words they are, and the score."""
    matrix = model.transform.apply_frame(frame)
    columns: dict[str, Any] = {}
    for position, item in enumerate(model.transform.inputs):
        values = matrix[:, position].astype(np.float64)
        columns[item.name] = (
            frame[model.transform.column(item)]
            if item.kind == "category"
            else pl.Series(values, nan_to_null=True)
        )
    return pl.DataFrame({**columns, SCORE: frame[SCORE].cast(pl.Float64)})


def _problem(values: pl.Series) -> str:
    if values.dtype.is_float():
        if values.is_infinite().any():
            return "an infinite number"
        values = values.fill_nan(None)
    return "no value" if values.null_count() == len(values) else ""
