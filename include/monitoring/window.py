"""The window that the checks judge, from the tables: the interval's predictions with their labels
beside the training set of the version that scored them.

Labels of training rows count in the test split alone: elsewhere the model has learned them, and its
scores promise too much. Of very many rows every so-manieth is read into columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from include.data_sets.blocks import row_blocks
from include.data_sets.split import cut, moments
from include.evaluation.attributions import attributed, method, spread_rows
from include.evaluation.slices import column_values
from include.interval import Interval
from include.model.package import ScoringModel
from include.monitoring.checks.base import SCORE, Attributed, Before, Side, Window
from include.monitoring.checks.effectiveness import blocks_of
from include.monitoring.checks.schema_skew import infer_schema
from include.monitoring.cost import costs_of
from include.monitoring.labels import KNOWN_AT, LABEL, attach, read_labels
from include.monitoring.population import Population
from include.monitoring.serving_metrics import sampled_rows, samples_until
from include.problems.registry import strategy_of
from include.scoring.batch import predictions_table
from include.settings.prices import Prices
from include.spec import UseCase
from include.stats.two_samples import Sample
from include.tables.store import TableStore, in_window

MOST_ROWS = 200_000
HOUR = timedelta(hours=1)
NO_GROUP = "(none)"


def build_window(
    use_case: UseCase,
    tables: TableStore,
    model: ScoringModel,
    population: Population,
    labelled: pl.DataFrame,
    interval: Interval,
    *,
    before: Before,
    prices: Prices | None = None,
) -> Window:
    """The window of an interval; `labelled` are the population's rows with `label` and `known_at`,
    `before` what the windows before found, `prices` those of the endpoint's machine.

    Raises `TableNotFound` when the training set's version is gone.
    """
    recorded = model.metadata
    operation, throughput_before = samples_until(use_case, tables, interval.end)
    served, trained = _some(labelled), _training(use_case, tables, model)
    scores = served["score"].cast(pl.Float64).to_numpy()
    serving = _side(use_case, model, served, scores)
    reference = _side(use_case, model, trained, model.score_frame(trained))
    return Window(
        serving=serving,
        reference=reference,
        attributed=(
            _attributed(model, served, serving),
            _attributed(model, trained, reference),
        ),
        limits=use_case.monitoring,
        earlier=_earlier(use_case, tables, model, interval, population.version),
        seasonal=_seasonal(use_case, tables, model, interval),
        matured=_matured(use_case, tables, interval, population.version),
        before=before,
        operation=operation,
        throughput_before=throughput_before,
        costs=costs_of(sampled_rows(use_case, tables, interval.end), prices),
        threshold=use_case.serving.decision_threshold,
        baseline=recorded.metrics,
        score_kind=strategy_of(use_case).score_kind,
        seed=use_case.training.seed,
    )


def _training(use_case: UseCase, tables: TableStore, model: ScoringModel) -> pl.DataFrame:
    """The training set with `label`, which is null outside of the test split."""
    recorded = model.metadata.snapshot
    rows = tables.read(recorded.name, version=recorded.version)
    rows = rows.sort(use_case.event_time, use_case.id_column)
    tested = cut(use_case, rows, moments(use_case, rows))["test"].select(use_case.id_column)
    in_test = pl.col(use_case.id_column).is_in(tested[use_case.id_column].implode())
    label = strategy_of(use_case).label_expression()
    return _some(rows.with_columns(pl.when(in_test).then(label).alias(LABEL)))


def _some(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.gather_every(max(1, -(-frame.height // MOST_ROWS)))


def _side(
    use_case: UseCase,
    model: ScoringModel,
    frame: pl.DataFrame,
    scores: np.ndarray,
) -> Side:
    read = [name for name in model.transform.columns if name in frame.columns]
    return Side(
        sample_of(use_case, model, frame),
        scores=np.asarray(scores, dtype=np.float64) if scores.ndim == 1 else np.empty(0),
        labels=frame[LABEL].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        delays=_delays(use_case, frame),
        losses=_losses(use_case, frame),
        groups=_groups(use_case, model, frame),
        ids=frame[use_case.id_column].cast(pl.String).to_numpy(),
        schema=infer_schema(frame.select(read)),
    )


def _losses(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray:
    """The losses of rows that were answered and whose label has come; NaN of all others."""
    losses = np.full(frame.height, np.nan)
    labelled = frame[LABEL].is_not_null().to_numpy()
    if SCORE in frame.columns and labelled.any():
        losses[labelled] = strategy_of(use_case).row_losses(frame.filter(labelled))
    return losses


def _attributed(model: ScoringModel, frame: pl.DataFrame, side: Side) -> Attributed:
    """Of some of the rows, evenly spread."""
    chosen = spread_rows(frame.height)
    return Attributed(
        inputs=tuple(model.transform.feature_names),
        values=attributed(model, model.transform.apply_frame(frame[chosen])),
        blocks=blocks_of(side)[chosen],
        method=method(model),
    )


def sample_of(use_case: UseCase, model: ScoringModel, frame: pl.DataFrame) -> Sample:
    """The rows' inputs as the model reads them, in the blocks of the use case."""
    matrix = model.transform.apply_frame(frame)
    inputs = model.transform.inputs
    columns = {item.name: matrix[:, place].astype(np.float64) for place, item in enumerate(inputs)}
    categories = frozenset(item.name for item in inputs if item.kind == "category")
    return Sample(columns, categories, row_blocks(use_case, frame))


def _delays(use_case: UseCase, frame: pl.DataFrame) -> np.ndarray:
    """Hours from the question to its label."""
    if KNOWN_AT not in frame.columns:
        return np.empty(0)
    late = (frame[KNOWN_AT] - frame[use_case.event_time]).dt.total_microseconds()
    return late.cast(pl.Float64).fill_null(float("nan")).to_numpy() / (HOUR.total_seconds() * 1e6)


def _groups(
    use_case: UseCase, model: ScoringModel, frame: pl.DataFrame
) -> Mapping[str, np.ndarray]:
    """The groups that the use case declares for fairness, by the column that groups."""
    result: dict[str, np.ndarray] = {}
    there = {*frame.columns, *model.transform.feature_names}
    for declared in use_case.gates.fairness:
        if declared.column not in there:
            continue
        names = {value: name for name, values in declared.groups.items() for value in values}
        values = column_values(declared.column, model.transform, frame)
        result[declared.column] = np.array(
            [names.get(value, NO_GROUP) if names else value or NO_GROUP for value in values]
        )
    return result


def _earlier(
    use_case: UseCase, tables: TableStore, model: ScoringModel, interval: Interval, version: int
) -> tuple[Sample, ...]:
    """The windows before that the same version scored, of the same length, the oldest first."""
    length, samples = interval.end - interval.start, []
    for place in range(use_case.monitoring.sliding_windows - 1, 0, -1):
        start = interval.start - place * length
        rows = _predictions(use_case, tables, start, start + length)
        rows = rows.filter(pl.col("model_version") == version)
        if rows.height >= use_case.monitoring.minimum_rows:
            samples.append(sample_of(use_case, model, _some(rows)))
    return tuple(samples)


def _matured(
    use_case: UseCase, tables: TableStore, interval: Interval, version: int
) -> tuple[Side, ...]:
    """The windows before that the same version scored, with the labels that were known at this
    one's end: scores and labels alone, the oldest first.
    """
    length, limits = interval.end - interval.start, use_case.monitoring
    reported = read_labels(use_case, tables, interval.start - limits.sliding_windows * length)
    sides = []
    for place in range(limits.sliding_windows, 0, -1):
        start = interval.start - place * length
        rows = _predictions(use_case, tables, start, start + length)
        rows = rows.filter(pl.col("model_version") == version)
        if rows.height < limits.minimum_rows:
            continue
        labelled = _some(attach(use_case, rows, reported, interval.end))
        scores, labels = (
            labelled[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            for name in ("score", LABEL)
        )
        sides.append(Side(Sample({}, frozenset()), scores=scores, labels=labels))
    return tuple(sides)


def _seasonal(
    use_case: UseCase, tables: TableStore, model: ScoringModel, interval: Interval
) -> Sample | None:
    lag = use_case.monitoring.seasonal_lag
    if lag is None:
        return None
    rows = _predictions(use_case, tables, interval.start - lag, interval.end - lag)
    return sample_of(use_case, model, _some(rows)) if rows.height else None


def _predictions(
    use_case: UseCase, tables: TableStore, start: datetime, end: datetime
) -> pl.DataFrame:
    where = in_window(use_case.event_time, start, end)
    return tables.read(predictions_table(use_case), where=where).sort(
        use_case.event_time, use_case.id_column
    )
