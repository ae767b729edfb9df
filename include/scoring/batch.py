"""Batch scoring: every target of an interval, with what was known when its question was asked, in one published window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from include.data.tables import TIMESTAMP, TableStore, TableVersion, in_window
from include.errors import DataError, EmptyWindow
from include.settings import Settings
from include.spec import UseCase
from include.steps import Interval

if TYPE_CHECKING:
    from include.registry.artifact import ScoringModel

CHUNK_ROWS = 100_000


def predictions_table(use_case: UseCase) -> str:
    """Name of the table of batch predictions."""
    return f"{use_case.name}/predictions"


def prediction_columns(use_case: UseCase) -> list[str]:
    """Id, event time, entity keys, request fields, every `<view>__<feature>`, score, decision, model_version, interval_start."""
    features = [reference.replace(":", "__") for reference in use_case.feature_references]
    columns = [*entity_columns(use_case), *features, "score", "decision", "model_version", "interval_start"]
    return list(dict.fromkeys(columns))


def entity_columns(use_case: UseCase) -> list[str]:
    """Id, event time, entity keys and request fields: the columns of the entity table that are scored with and kept."""
    fields = [field.name for field in use_case.serving.request_fields]
    return list(dict.fromkeys([use_case.id_column, use_case.event_time, *use_case.serving.entity_keys, *fields]))


def read_entities(use_case: UseCase, tables: TableStore, interval: Interval) -> pl.DataFrame:
    """The targets whose question is asked in the interval, sorted by event time and id.

    Raises `EmptyWindow` when there is none, `DataError` when an id comes twice or a row has none.
    """
    name = use_case.entity_table
    window = in_window(use_case.event_time, interval.start, interval.end)
    entities = tables.read(name, columns=entity_columns(use_case), where=window)
    if entities.height == 0:
        raise EmptyWindow(f"{name} holds no row with {use_case.event_time} in [{interval.start}, {interval.end}): nothing to score.")
    ids = entities[use_case.id_column]
    if ids.null_count() or ids.n_unique() != entities.height:
        twice = ids.filter(ids.is_duplicated()).unique().sort().to_list()[:3]
        raise DataError(
            f"{name}: {use_case.id_column!r} must identify a row of [{interval.start}, {interval.end}); "
            f"{ids.null_count()} rows have none, and among those that come more than once are {twice}. Correct the table and ingest again."
        )
    return entities.sort(use_case.event_time, use_case.id_column)


def score_entities(
    use_case: UseCase, settings: Settings, model: ScoringModel, version: int, entities: pl.DataFrame, interval: Interval
) -> pl.DataFrame:
    """The rows of `read_entities` with features, score, decision and their origin; columns as in `prediction_columns`."""
    from include.features.retrieval import point_in_time

    parts: list[pl.DataFrame] = []
    for chunk in entities.iter_slices(CHUNK_ROWS):
        featured = point_in_time(use_case, chunk, settings)
        scores = model.score_frame(featured)
        parts.append(featured.with_columns(pl.Series("score", scores, dtype=pl.Float64)))
    return (
        pl.concat(parts)
        .with_columns(
            (pl.col("score") >= model.metadata.decision_threshold).alias("decision"),
            pl.lit(version, dtype=pl.Int64).alias("model_version"),
            pl.lit(interval.start, dtype=TIMESTAMP).alias("interval_start"),
        )
        .select(prediction_columns(use_case))
    )


def check_predictions(use_case: UseCase, entities: pl.DataFrame, predictions: pl.DataFrame) -> None:
    """Raise `DataError` unless `predictions` holds exactly one sound row per entity row.

    Sound: the same ids, each once; no null in what every prediction must say; scores finite and between 0 and 1.
    """
    problems: list[str] = []
    ids = predictions[use_case.id_column]
    if predictions.height != entities.height:
        problems.append(f"{predictions.height} predictions for {entities.height} rows of {use_case.entity_table}")
    if ids.n_unique() != predictions.height:
        problems.append(f"{use_case.id_column} comes more than once, for example {ids.filter(ids.is_duplicated())[0]!r}")
    strangers = predictions.join(entities, on=use_case.id_column, how="anti").height
    if strangers:
        problems.append(f"{strangers} predictions for ids that were not asked about")
    required = (use_case.id_column, use_case.event_time, "score", "decision", "model_version", "interval_start")
    nulls = {name: predictions[name].null_count() for name in required}
    problems += [f"{nulls[name]} nulls in {name}" for name in required if nulls[name]]
    scores = predictions["score"].drop_nulls().to_numpy()
    unsound = int(np.count_nonzero(~((scores >= 0.0) & (scores <= 1.0))))
    if unsound:
        problems.append(f"{unsound} scores are not probabilities (not finite, or outside 0 to 1)")
    if problems:
        raise DataError(f"{use_case.name}: the predictions are not published: {'; '.join(problems)}. The table keeps its former rows.")


def publish(use_case: UseCase, tables: TableStore, predictions: pl.DataFrame, interval: Interval) -> TableVersion:
    """Make them the interval's predictions, in one commit or not at all."""
    return tables.replace_window(
        predictions_table(use_case), predictions, time_column=use_case.event_time, start=interval.start, end=interval.end
    )
