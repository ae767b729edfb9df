"""What is judged: the interval's batch predictions, and the answers that the endpoint logged for
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from include.errors import EmptyWindow, NotReadyYet
from include.inference_log.log import log_schema, log_table, was_answered
from include.interval import Interval
from include.model.package import ScoringModel
from include.monitoring.online_log import read_log
from include.registry.versions import version
from include.release.interfaces import read_by_versions
from include.scoring.batch import predictions_table
from include.scoring.champion import registered_model
from include.settings import Settings
from include.spec import UseCase
from include.tables.completed import is_complete
from include.tables.store import TableStore, in_window


@dataclass(frozen=True)
class Population:
    """Rows of one interval that one model version scored.

    `version` is the version that scored the interval's last target; `other_rows` counts batch rows
    of other versions, which are not judged with it. `online` holds the endpoint's answers of all
    versions, in the order in which they were given.
    """

    version: int
    batch: pl.DataFrame
    other_rows: int
    online: pl.DataFrame

    @property
    def online_judged(self) -> pl.DataFrame:
        """The online answers of `version`."""
        return self.online.filter(pl.col("model_version") == self.version)


def read_population(
    use_case: UseCase, tables: TableStore, settings: Settings, interval: Interval
) -> Population:
    """Raises `NotReadyYet` when the interval is not scored, `EmptyWindow` when it was scored and
    holds no prediction.
    """
    if not is_complete(tables, use_case.name, "batch_scoring", interval):
        raise NotReadyYet(
            f"{use_case.name} is not scored for [{interval.start}, {interval.end}). Run"
            f" {use_case.dag_id('batch_scoring')} for it first."
        )
    name = predictions_table(use_case)
    window = in_window(use_case.event_time, interval.start, interval.end)
    predictions = tables.read(name, where=window).sort(use_case.event_time, use_case.id_column)
    if predictions.height == 0:
        raise EmptyWindow(
            f"{name} holds no row in [{interval.start}, {interval.end}), though it was scored. "
            f"Run {use_case.dag_id('batch_scoring')} for it again."
        )
    version = int(predictions["model_version"][-1])
    batch = predictions.filter(pl.col("model_version") == version)
    return Population(
        version,
        batch,
        predictions.height - batch.height,
        # What an older version read is in its rows, whatever has been declared since.
        read_log(read_by_versions(settings, use_case, [version]), tables, settings, window),
    )


def read_online(use_case: UseCase, tables: TableStore, interval: Interval) -> pl.DataFrame:
    """The logged answers to questions of the interval, in the order in which they were given, a
    shadow's scores not among them; no rows before the first one.
    """
    name = log_table(use_case.name)
    if not tables.exists(name):
        return pl.DataFrame(schema=log_schema(use_case))
    window = in_window(use_case.event_time, interval.start, interval.end)
    rows = tables.read(name, where=window)
    return rows.filter(was_answered(rows.columns)).sort("sequence", "prediction_id")


def judged_model(use_case: UseCase, settings: Settings, population: Population) -> ScoringModel:
    """The very model that scored: not the champion of today, which may be another one when an
    interval is judged again.
    """
    return registered_model(settings, use_case, version(settings, use_case, population.version))
