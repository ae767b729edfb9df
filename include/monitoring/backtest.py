"""What monitoring would have measured in a history: each interval is scored by a model that was
trained on the window before it, as the one in service would have been.

Nothing is registered or published; a model lives as long as its interval is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import polars as pl

from include.data_sets.snapshot import as_data_set, questions, training_window
from include.data_sets.split import cut, split_in_time
from include.errors import DataError, EmptyWindow
from include.features.retrieval import point_in_time
from include.interval import Interval
from include.model.package import ScoringModel, load_model
from include.model.reference_check import SCORE
from include.monitoring import drift, performance
from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.distribution import distribution
from include.monitoring.drift import ColumnDrift
from include.monitoring.labels import LABEL
from include.monitoring.window import sample_of
from include.problems.registry import strategy_of
from include.scoring.batch import score_rows
from include.settings import Settings
from include.spec import UseCase
from include.spec.times import intervals_between
from include.steps import StepContext
from include.tables.declared import read_declared
from include.tables.store import TIMESTAMP, TableStore, in_window
from include.training.package import train_package
from include.training.provenance import UNKNOWN
from include.verdict import Finding

MOST_INTERVALS = 12
"""So many of a history are measured, evenly spread: each costs a training."""
NO_SNAPSHOT = {"name": "backtest", "uri": "", "version": 0, "digest": ""}
DAY = timedelta(days=1)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """What one interval shows against the training before it.

    `inputs` is what the corrected check finds of every input over this interval alone, whose model
    scored no other; `performance` are the checks of the labels that were known
    at the interval's end, none where they were too few.
    """

    interval: Interval
    inputs: tuple[ColumnDrift, ...]
    performance: tuple[Finding, ...]


@dataclass(frozen=True)
class Backtest:
    """The intervals that could be measured, oldest first, and why others could not, by their
    text.
    """

    measured: tuple[Measured, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def measurable(use_case: UseCase, history: Interval) -> list[Interval]:
    """The intervals of monitoring that have a whole training window of the history before them; of
    many `MOST_INTERVALS`, evenly spread and with the newest.
    """
    first = history.start + timedelta(days=use_case.training.window_days)
    if first >= history.end:
        return []
    intervals = intervals_between(use_case.schedule.monitoring_cron, first, history.end)
    step = max(1, -(-len(intervals) // MOST_INTERVALS))
    return intervals[::-1][::step][::-1]


def backtest(
    context: StepContext, intervals: Sequence[Interval], parameters: Mapping[str, Any], say: Say
) -> Backtest:
    """Train before each interval with the same parameters, and measure it; `say` hears which.

    `context` names the use case, the settings and the run whose work folder is used. All tables of
    the history, and its features, must be there.
    """
    if not intervals:
        return Backtest()
    start = training_window(context.use_case, _until(intervals[0])).start
    frame = _history(context.use_case, context.settings, Interval(start, intervals[-1].end))
    measured, left_out = list[Measured](), dict[str, str]()
    for interval in intervals:
        say(interval.text)
        try:
            measured.append(_measure(context, frame, interval, parameters))
        except DataError as error:
            left_out[interval.text] = str(error)
    return Backtest(tuple(measured), left_out)


def _until(interval: Interval) -> Interval:
    """The last day before the interval: that of the training whose model would score it."""
    return Interval(interval.start - DAY, interval.start)


def _history(use_case: UseCase, settings: Settings, history: Interval) -> pl.DataFrame:
    """Every question of the history with its features, and its label where it ever got one."""
    tables, question = TableStore(settings.tables_uri), as_data_set(use_case)
    data = question.training_data
    inside = in_window(data.event_time, history.start, history.end)
    asked = questions(data, tables, question.table(data.entity_table), inside)
    columns = [data.id_column, *data.label_columns, data.label_time]
    labels = read_declared(tables, question.table(data.label_table), columns)
    frame = asked.join(labels, on=data.id_column, how="left").sort(data.event_time, data.id_column)
    if frame.height == 0:
        raise EmptyWindow(f"{data.entity_table} holds no row in {history.text}.")
    return point_in_time(question, frame, settings).select(data.all_columns)


def _measure(
    context: StepContext, frame: pl.DataFrame, interval: Interval, parameters: Mapping[str, Any]
) -> Measured:
    """Raises `DataError` where the rows before the interval cannot train, or its own are fewer than
    monitoring judges.
    """
    use_case, limits = context.use_case, context.use_case.monitoring
    rows = frame.filter(in_window(use_case.event_time, interval.start, interval.end))
    if rows.height < limits.minimum_rows:
        raise EmptyWindow(
            f"{rows.height:,} rows, and monitoring judges none below monitoring.minimum_rows"
            f" ({limits.minimum_rows:,})"
        )
    model, learned = _model_before(context, frame, interval, parameters)
    scored = score_rows(model, rows)
    known = pl.col(use_case.data_set.label_time) < pl.lit(interval.end, dtype=TIMESTAMP)
    label = pl.when(known).then(strategy_of(use_case).label_expression()).alias(LABEL)
    metrics = performance.measure(scored.with_columns(label), use_case)
    judged = performance.judge(metrics, performance.baseline(model), limits, use_case.problem.kind)
    sides = [Side(sample_of(use_case, model, side)) for side in (scored, learned)]
    window = Window(sides[0], sides[1], limits, seed=use_case.training.seed)
    columns = drift.measure(model, scored, limits, distribution(window))
    return Measured(
        interval,
        tuple(column for column in columns if column.kind != SCORE),
        tuple(item for item in judged["findings"] if item.judged),
    )


def _model_before(
    context: StepContext, frame: pl.DataFrame, interval: Interval, parameters: Mapping[str, Any]
) -> tuple[ScoringModel, pl.DataFrame]:
    """A model of the rows of the window whose labels were known when it ended, and these rows."""
    use_case, last_day = context.use_case, _until(interval)
    window = training_window(use_case, last_day)
    known = frame.filter(
        in_window(use_case.event_time, window.start, window.end)
        & (pl.col(use_case.data_set.label_time) < pl.lit(window.end, dtype=TIMESTAMP))
    )
    if known.height == 0:
        raise EmptyWindow(f"no label was known before it of the rows in {window.text}")
    splits = cut(use_case, known, split_in_time(use_case, known).boundaries)
    run = replace(context.run, run_id=f"{context.run.run_id}-before-{interval.label}")
    folder, digest, _ = train_package(
        replace(context, interval=last_day, run=run), splits, parameters, NO_SNAPSHOT, UNKNOWN
    )
    model = load_model(folder, expected_digest=digest, threads=context.settings.training_threads)
    return model, known
