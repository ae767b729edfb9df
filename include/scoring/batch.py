"""Batch scoring: which rows are asked about, and their scores with what was known when each
question was asked.

A partition is the unit: a slice of event time that fits into memory. Everything here works on one
partition.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from include.errors import DataError, EmptyWindow
from include.features.retrieval import point_in_time
from include.interval import Interval
from include.model.package import ModelMetadata, ScoringModel
from include.problems.registry import strategy_of
from include.settings import Settings
from include.spec import UseCase
from include.tables.declared import read_declared
from include.tables.store import TIMESTAMP, TableStore, in_window

CHUNK_ROWS = 100_000
ORIGIN_COLUMNS = ("model_version", "model_digest", "interval_start", "interval_end")
LINEAGE_COLUMNS = ("scoring_run", "source_versions")


def predictions_table(use_case: UseCase) -> str:
    """Name of the table of batch predictions."""
    return f"{use_case.name}/predictions"


def prediction_columns(use_case: UseCase) -> list[str]:
    """What is published:

    `content_columns`, and which run scored the rows from which versions of which tables
    (`LINEAGE_COLUMNS`).
    """
    return [*content_columns(use_case), *LINEAGE_COLUMNS]


def content_columns(use_case: UseCase) -> list[str]:
    """What a score is made of, for, and by: the same for every run that scores the same rows with
    the same model.

    Id, event time, entity keys, request fields, every `<view>__<feature>`, score, decision,
    model_version, model_digest, interval_start, interval_end; of several classes also
    predicted_class.
    """
    columns = ["score", "decision", *use_case.problem.answer_columns]
    return list(
        dict.fromkeys(
            [*entity_columns(use_case), *feature_columns(use_case), *columns, *ORIGIN_COLUMNS]
        )
    )


def feature_columns(use_case: UseCase) -> list[str]:
    """`<view>__<feature>` of every feature that the use case reads."""
    return [reference.replace(":", "__") for reference in use_case.feature_references]


def entity_columns(use_case: UseCase) -> list[str]:
    """Id, event time, entity keys and request fields: the columns of the entity table that are
    scored with and kept.
    """
    fields = [field.name for field in use_case.serving.request_fields]
    return list(
        dict.fromkeys(
            [use_case.id_column, use_case.event_time, *use_case.serving.entity_keys, *fields]
        )
    )


def read_entities(
    use_case: UseCase, tables: TableStore, interval: Interval, version: int | None = None
) -> pl.DataFrame:
    """The targets whose question is asked in the interval, sorted by event time and id, from
    `version` of the table (or the newest).

    Raises `EmptyWindow` when there is none, `DataError` when an id comes twice or a row has none.
    """
    name = use_case.entity_table
    window = in_window(use_case.event_time, interval.start, interval.end)
    entities = read_declared(
        tables,
        use_case.table(name),
        entity_columns(use_case),
        version=version,
        where=window,
    )
    if entities.height == 0:
        raise EmptyWindow(
            f"{name} holds no row with {use_case.event_time} in [{interval.start}, {interval.end}):"
            " nothing to score."
        )
    check_ids(use_case, entities[use_case.id_column], interval)
    return entities.sort(use_case.event_time, use_case.id_column)


def check_ids(use_case: UseCase, ids: pl.Series, interval: Interval) -> None:
    """Raise `DataError` unless every id is there and comes once."""
    if ids.null_count() or ids.n_unique() != len(ids):
        twice = ids.filter(ids.is_duplicated()).unique().sort().to_list()[:3]
        raise DataError(
            f"{use_case.entity_table}: {use_case.id_column!r} must identify a row of"
            f" [{interval.start}, {interval.end}); {ids.null_count()} rows have none, and among"
            f" those that come more than once are {twice}. Correct the table and ingest again."
        )


def score_entities(
    use_case: UseCase,
    settings: Settings,
    model: ScoringModel,
    version: int,
    entities: pl.DataFrame,
    interval: Interval,
    *,
    view_versions: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """The rows of `read_entities` with features, score, decision and their origin; columns as in
    `content_columns`.

    `interval` is the whole one that is being scored; `view_versions` pins the features' tables.
    """
    parts = [
        score_rows(model, point_in_time(use_case, chunk, settings, versions=view_versions))
        for chunk in entities.iter_slices(CHUNK_ROWS)
    ]
    return with_origin(pl.concat(parts), model, version, interval).select(content_columns(use_case))


def score_rows(model: ScoringModel, featured: pl.DataFrame) -> pl.DataFrame:
    """Rows that hold the model's source columns, with what `said` makes of their scores; the same
    code for a row and for a million.
    """
    return featured.with_columns(said(model.metadata, model.score_frame(featured)))


def said(metadata: ModelMetadata, scores: np.ndarray) -> list[pl.Series]:
    """The columns of the scores that `ScoringModel.score` gives.

    `score` is the probability of label 1, the value in the label's unit, or the probability of the
    most probable class, which then is `predicted_class`. `decision` is null unless the label is
    binary.
    """
    return metadata.answers.columns(scores)


def with_origin(
    scored: pl.DataFrame, model: ScoringModel, version: int, interval: Interval
) -> pl.DataFrame:
    """The rows with version and digest of their model and the interval that they belong to."""
    return scored.with_columns(
        pl.lit(version, dtype=pl.Int64).alias("model_version"),
        pl.lit(model.digest, dtype=pl.String).alias("model_digest"),
        pl.lit(interval.start, dtype=TIMESTAMP).alias("interval_start"),
        pl.lit(interval.end, dtype=TIMESTAMP).alias("interval_end"),
    )


def check_predictions(use_case: UseCase, entities: pl.DataFrame, predictions: pl.DataFrame) -> None:
    """Raise `DataError` unless `predictions` holds exactly one sound row per entity row.

    Sound: the same ids, each once; no null in what every prediction must say; scores finite, and
    probabilities between 0 and 1.
    """
    problems: list[str] = []
    ids = predictions[use_case.id_column]
    if predictions.height != entities.height:
        problems.append(
            f"{predictions.height} predictions for {entities.height} rows of"
            f" {use_case.entity_table}"
        )
    if ids.n_unique() != predictions.height:
        problems.append(
            f"{use_case.id_column} comes more than once, for example"
            f" {ids.filter(ids.is_duplicated())[0]!r}"
        )
    strangers = predictions.join(entities, on=use_case.id_column, how="anti").height
    if strangers:
        problems.append(f"{strangers} predictions for ids that were not asked about")
    problems += value_problems(use_case, predictions)
    if problems:
        raise DataError(
            f"{use_case.name}: the predictions are not published: {'; '.join(problems)}. The table"
            " keeps its former rows."
        )


def value_problems(use_case: UseCase, predictions: pl.DataFrame) -> list[str]:
    """What is wrong with the values: nulls where every prediction must say something, scores that
    are no probabilities (or numbers).
    """
    required = (
        use_case.id_column,
        use_case.event_time,
        *use_case.problem.required_answers,
        *ORIGIN_COLUMNS,
    )
    nulls = {name: predictions[name].null_count() for name in required}
    problems = [f"{nulls[name]} nulls in {name}" for name in required if nulls[name]]
    scores = predictions["score"].drop_nulls().to_numpy()
    problem = strategy_of(use_case)
    unsound = int(np.count_nonzero(~problem.are_sound(scores)))
    return [*problems, f"{unsound} scores are {problem.unsound}"] if unsound else problems
