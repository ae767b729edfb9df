"""Evidently's drift report, for people: the interval's inputs and scores beside the training
snapshot's.

Evidently fails as a whole on one empty column, so columns without a value on a side are left out
and listed. It is given our measure and limits, on a sample; what it concludes decides nothing.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.interval import Interval
from include.model.package import ScoringModel
from include.model.reference_check import PREDICTED_CLASS, SCORE
from include.spec import UseCase
from include.tables.store import TableStore

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

SAMPLE_ROWS = 5_000
HEAD, BODY = re.compile(r"<head\b[^>]*>"), re.compile(r"<body\b[^>]*>")
STYLE = "font:16px/1.4 system-ui,sans-serif;padding:1rem 2rem 0;color:#1d2733"
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
    scored = trained.with_columns(model.metadata.answers.columns(model.score_frame(trained)))
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


@dataclass(frozen=True)
class Rendered:
    """A report as one HTML page that needs no network, Evidently's result as JSON, and its own
    object of it.
    """

    page: str
    details: dict[str, Any]
    run: Snapshot


def render(
    use_case: UseCase, compared: Sides, interval: Interval, version: int, model: ScoringModel
) -> Rendered:
    """The report of an interval.

    The page begins with what is compared: use case, interval, the version that scored, and the
    rows that it was trained on.
    """
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
        method="hellinger", threshold=limits.drift_effect, drift_share=limits.drifted_share
    )
    snapshot: Snapshot = Report([preset]).run(
        current, reference, timestamp=interval.end.replace(tzinfo=None), name=interval.text
    )
    snapshot_of = model.metadata.snapshot
    facts = (
        f"Scored by version {version}; {compared.current.height} rows of the interval",
        (
            f"Reference: {compared.reference.height} rows of its training set {snapshot_of.name},"
            f" version {snapshot_of.version}, up to {model.metadata.interval.end:%Y-%m-%d}"
        ),
        *(f"Left out: {name} ({why})" for name, why in compared.left_out.items()),
    )
    title = f"{use_case.title}: {interval.text}"
    page = headed(snapshot.get_html_str(as_iframe=False), title, facts)
    return Rendered(page, snapshot.dict(), snapshot)


def headed(page: str, title: str, facts: Sequence[str]) -> str:
    """The page with a title, and with a heading and facts at the top of its body."""
    named = HEAD.sub(lambda tag: f"{tag[0]}<title>{html.escape(title)}</title>", page, count=1)
    listed = "".join(f"<p>{html.escape(fact)}.</p>" for fact in facts)
    heading = f'<header style="{STYLE}"><h1>{html.escape(title)}</h1>{listed}</header>'
    return BODY.sub(lambda tag: f"{tag[0]}{heading}", named, count=1)


def _sample(use_case: UseCase, frame: pl.DataFrame) -> pl.DataFrame:
    ordered = frame.sort(use_case.event_time, use_case.id_column)
    if ordered.height <= SAMPLE_ROWS:
        return ordered
    return ordered.sample(SAMPLE_ROWS, seed=use_case.training.seed)


def _shown(model: ScoringModel, frame: pl.DataFrame) -> pl.DataFrame:
    """Inputs by name as the model reads them, categories as the words they are, the score, and of
    several classes the predicted one.
    """
    matrix = model.transform.apply_frame(frame)
    columns: dict[str, Any] = {}
    for position, item in enumerate(model.transform.inputs):
        values = matrix[:, position].astype(np.float64)
        columns[item.name] = (
            frame[model.transform.column(item)]
            if item.kind == "category"
            else pl.Series(values, nan_to_null=True)
        )
    if model.metadata.answers.class_names:
        columns[PREDICTED_CLASS] = frame[PREDICTED_CLASS]
    return pl.DataFrame({**columns, SCORE: frame[SCORE].cast(pl.Float64)})


def _problem(values: pl.Series) -> str:
    if values.dtype.is_float():
        if values.is_infinite().any():
            return "an infinite number"
        values = values.fill_nan(None)
    return "no value" if values.null_count() == len(values) else ""
