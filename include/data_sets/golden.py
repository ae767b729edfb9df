"""The golden set of a data set: labelled rows that are set aside once, written once, and measured
on by every candidate.

It lies in the Delta table `<data set>/golden` and is never rewritten. Which version and digest it
has stands apart from the table, as a tag of the MLflow experiment: a table that was lost or
exchanged is noticed and not silently made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from include.data_sets.snapshot import as_data_set, questions
from include.errors import DataError, TableNotFound
from include.features.retrieval import point_in_time
from include.interval import Interval
from include.registry.one_copy import one_copy
from include.settings import Settings
from include.spec import ColumnType, Golden, UseCase, feature_types
from include.tables.store import TIMESTAMP, TableStore, frame_digest
from include.tables.types import TYPES

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "flightdeck.golden"
SPLIT = "golden"


@dataclass(frozen=True)
class GoldenRecord:
    """Which rows the golden set is: table, version and digest of its rows."""

    table: str
    version: int
    digest: str
    rows: int

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def golden_table(use_case: UseCase) -> str:
    """Name of the table; use cases that share a data set share its golden set."""
    return f"{use_case.training_data.name}/golden"


def recorded(client: MlflowClient, experiment_id: str) -> GoldenRecord | None:
    """What the experiment's tag says was frozen, or `None` before that."""
    tag = client.get_experiment(experiment_id).tags.get(TAG)
    return None if tag is None else GoldenRecord(**json.loads(tag))


def freeze(
    use_case: UseCase,
    settings: Settings,
    interval: Interval,
    client: MlflowClient,
    experiment_id: str,
) -> GoldenRecord | None:
    """The golden set's record; drawn and written if there never was one. `None` for a use case that
    declares none.

    Raises `DataError` when nothing can be drawn, or when what was frozen is missing or has been
    changed.
    """
    if use_case.golden is None:
        return None
    with one_copy(settings, golden_table(use_case), TAG):
        frozen_record = recorded(client, experiment_id) or _freeze(
            use_case, use_case.golden, settings, interval, client, experiment_id
        )
    read_golden(use_case, settings, frozen_record)
    return frozen_record


def _freeze(
    use_case: UseCase,
    golden: Golden,
    settings: Settings,
    interval: Interval,
    client: MlflowClient,
    experiment_id: str,
) -> GoldenRecord:
    """Draw the rows, write them, and then record them."""
    tables, name = TableStore(settings.tables_uri), golden_table(use_case)
    # A table without a tag is what a killed run left: the same rows, to be recorded now.
    frame = tables.read(name) if tables.exists(name) else draw(use_case, golden, settings, interval)
    written = tables.replace_all(name, frame)
    frozen_record = GoldenRecord(name, written.version, frame_digest(frame), frame.height)
    client.set_experiment_tag(experiment_id, TAG, json.dumps(frozen_record.as_json()))
    return frozen_record


def golden_ids(
    use_case: UseCase, settings: Settings, record: GoldenRecord | None
) -> pl.Series | None:
    """The ids of the frozen rows."""
    return None if record is None else read_golden(use_case, settings, record)[use_case.id_column]


def draw(use_case: UseCase, golden: Golden, settings: Settings, interval: Interval) -> pl.DataFrame:
    """Rows with snapshot columns: event time before `until`, label known before the interval ends,
    chosen by a hash of their id.
    """
    tables, data = TableStore(settings.tables_uri), use_case.training_data
    until, end = (pl.lit(moment, dtype=TIMESTAMP) for moment in (golden.until, interval.end))
    entity_table = use_case.table(data.entity_table)
    entities = questions(data, tables, entity_table, pl.col(data.event_time) < until)
    names = [data.id_column, *data.label_columns, data.label_time]
    labels = tables.read(data.label_table, columns=names, where=pl.col(data.label_time) < end)
    eligible = entities.join(labels, on=use_case.id_column, how="inner").unique(use_case.id_column)
    count = min(golden.rows, int(eligible.height * golden.max_share))
    if count == 0:
        raise DataError(
            f"{use_case.name}: no golden set can be frozen: {eligible.height} labelled rows before"
            f" {golden.until}, of which a share of {golden.max_share:g} may be set aside. Ingest"
            " earlier data, or declare a later `until`."
        )
    ranked = sorted(
        eligible[use_case.id_column].to_list(),
        key=lambda value: hashlib.sha256(str(value).encode()).digest(),
    )
    chosen = eligible.filter(pl.col(use_case.id_column).is_in(ranked[:count])).sort(
        use_case.event_time, use_case.id_column
    )
    return point_in_time(as_data_set(use_case), chosen, settings).select(data.all_columns)


def read_golden(use_case: UseCase, settings: Settings, record: GoldenRecord) -> pl.DataFrame:
    """The frozen rows, sorted by event time and id; what was declared after they were frozen is
    null in them, as in the older rows of any table.

    `DataError` when they are missing, not those that were frozen, or lack the label.
    """
    try:
        frame = TableStore(settings.tables_uri).read(record.table, version=record.version)
    except TableNotFound as error:
        raise DataError(
            f"The golden set of {use_case.name} is missing: {record.table} version {record.version}"
            f" ({record.rows} rows) was frozen and is gone. Restore the table from a backup; a new"
            " one would make every earlier version's golden metrics incomparable."
        ) from error
    digest = frame_digest(frame)
    if digest != record.digest:
        raise DataError(
            f"The golden set of {use_case.name} was changed: {record.table} version"
            f" {record.version} has digest {digest[:16]}, frozen was {record.digest[:16]}. Restore"
            " the table from a backup."
        )
    return with_later_columns(use_case, frame).sort(use_case.event_time, use_case.id_column)


def with_later_columns(use_case: UseCase, frame: pl.DataFrame) -> pl.DataFrame:
    """Frozen rows with a null for what the use case declared after they were frozen.

    Raises `DataError` where that is the label: no other value may stand for an answer.
    """
    types = {**_source_types(use_case), **feature_types(use_case)}
    later = lacking(use_case, frame.columns)
    unknown = [name for name in later if name == use_case.label.column or name not in types]
    if unknown:
        raise DataError(
            f"The golden set of {use_case.name} was frozen without {unknown}, and answers cannot be"
            " filled in: learn a label that it holds, or give the data set another name, which"
            " freezes a golden set of its own."
        )
    nulls = [pl.lit(None, dtype=TYPES[types[name]]).alias(name) for name in later]
    return frame.with_columns(nulls)


def lacking(use_case: UseCase, columns: Sequence[str]) -> list[str]:
    """What the use case reads of its data set and is not among `columns`."""
    data = use_case.training_data
    reads = [*data.question_columns, *feature_types(use_case), use_case.label.column]
    return [name for name in dict.fromkeys(reads) if name not in columns]


def lacking_in(use_case: UseCase, settings: Settings, record: GoldenRecord) -> list[str]:
    """What the use case reads and was declared after the golden set was frozen."""
    frozen = TableStore(settings.tables_uri).scan(record.table, version=record.version)
    return lacking(use_case, frozen.collect_schema().names())


def _source_types(use_case: UseCase) -> dict[str, ColumnType]:
    return {column.name: column.type for column in use_case.table(use_case.entity_table).columns}
