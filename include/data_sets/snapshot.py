"""The training set of one run: labelled rows of a window with what was known when each question was
asked.

A snapshot is one version of one Delta table of a data set. The same window over the same tables
gives the same version, and use cases that share the data set share it: what one of them has built
is taken from `include.data_sets.versions` by the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import polars as pl

from include.data_sets.versions import DataSetVersion, Recipe, find, record
from include.errors import DataError, DigestMismatch, EmptyWindow
from include.features.definitions import known_views
from include.features.retrieval import point_in_time
from include.interval import Interval
from include.settings import Settings
from include.spec import DataSet, Input, Table, UseCase
from include.tables.declared import read_declared
from include.tables.store import TIMESTAMP, TableStore, frame_digest, in_window


@dataclass(frozen=True)
class Snapshot:
    """A training set by table, version and digest of its rows; `start` and `end` bound the event
    times (ISO 8601).

    `sources` are the tables that it was made from at the versions that were read, `definition` the
    digest of what was asked of them.
    """

    name: str
    uri: str
    version: int
    digest: str
    rows: int
    start: str
    end: str
    data_set: str = ""
    definition: str = ""
    sources: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def training_window(use_case: UseCase, interval: Interval) -> Interval:
    """The `window_days` before the run's interval ends."""
    return Interval(interval.end - timedelta(days=use_case.training.window_days), interval.end)


def build(
    use_case: UseCase, settings: Settings, interval: Interval, *, set_aside: pl.Series | None = None
) -> tuple[Snapshot, dict[str, int]]:
    """Join, write and record the snapshot; the second value counts the window's rows with and
    without a label.

    Rows whose id is in `set_aside` (the golden set's) stay out and are counted. What has been built
    from the same versions of the same tables before, for this use case or for another one with the
    same data set, is taken as it is. Raises `EmptyWindow` when no row of the window has a label
    yet.
    """
    tables, window, data = (
        TableStore(settings.tables_uri),
        training_window(use_case, interval),
        use_case.training_data,
    )
    question = as_data_set(use_case)
    views = known_views(question, settings)
    recipe = Recipe.of(
        data,
        views,
        source_versions(tables, data, {view.name: view.table_uri for view in views}),
        window,
        set_aside,
    )
    version = find(tables, data, recipe)
    if version is None:
        frame, counts = _join(question, settings, window, set_aside, recipe.sources)
        name = snapshot_table(data, window)
        written = tables.replace_all(name, frame)
        version = record(
            tables,
            DataSetVersion.of(
                data, recipe, written, frame_digest(frame), counts, built_by=use_case.name
            ),
        )
    snapshot = Snapshot(
        name=version.table,
        uri=tables.uri(version.table),
        version=version.version,
        digest=version.digest,
        rows=version.rows,
        **window.as_json(),
        data_set=data.name,
        definition=recipe.definition,
        sources=recipe.sources,
    )
    return snapshot, version.counts


def snapshot_table(data: DataSet, window: Interval) -> str:
    """The table of a data set's window."""
    return f"{data.name}/snapshots/{window.label}"


def as_data_set(use_case: UseCase) -> UseCase:
    """The use case as its data set sees it: all features of the set, whichever of them the model
    reads. For retrieval only.
    """
    data = use_case.training_data
    inputs = tuple(
        Input(name=reference.replace(":", "__"), source=reference) for reference in data.features
    )
    return use_case.model_copy(
        update={"name": data.name, "inputs": inputs, "feature_service": data.feature_service}
    )


def source_versions(tables: TableStore, data: DataSet, views: Mapping[str, str]) -> dict[str, int]:
    """The newest version of every table that the set is made from, by table;

    `views` maps a feature view to the URI of its table.
    """
    names = [
        data.entity_table,
        data.label_table,
        *(table_of(tables, uri) for uri in views.values()),
    ]
    return {name: tables.version(name) for name in dict.fromkeys(names)}


def table_of(tables: TableStore, uri: str) -> str:
    """The name of the table at that URI. Raises `DataError` for one that lies elsewhere."""
    if not uri.startswith(f"{tables.root}/"):
        raise DataError(
            f"The feature table {uri} lies outside of {tables.root}: its version cannot be"
            " recorded. Apply the definitions."
        )
    return uri.removeprefix(f"{tables.root}/")


def snapshot_columns(use_case: UseCase) -> list[str]:
    """Id, event time, entity keys, request fields, `<view>__<feature>` of every feature of the data
    set, labels, label time.
    """
    return use_case.training_data.all_columns


class SnapshotReference(Protocol):
    """Which version of which table a training set is, and the digest of its rows."""

    @property
    def name(self) -> str:
        """The table."""

    @property
    def version(self) -> int:
        """Its version."""

    @property
    def digest(self) -> str:
        """The digest of its rows."""


def read(use_case: UseCase, settings: Settings, snapshot: SnapshotReference) -> pl.DataFrame:
    """The rows of a recorded snapshot, sorted by event time and id.

    Raises `TableNotFound` when the version is gone, `DigestMismatch` when its rows are not those
    that were recorded.
    """
    frame = TableStore(settings.tables_uri).read(snapshot.name, version=snapshot.version)
    digest = frame_digest(frame)
    if digest != snapshot.digest:
        raise DigestMismatch(
            f"Snapshot {snapshot.name} version {snapshot.version} has digest {digest[:16]},"
            f" recorded was {snapshot.digest[:16]}. Its files were changed; build the snapshot"
            " again in a new run."
        )
    return frame.sort(use_case.event_time, use_case.id_column)


def questions(
    data: DataSet, tables: TableStore, table: Table, where: pl.Expr, *, version: int | None = None
) -> pl.DataFrame:
    """The rows of the entity table that belong to the set and for which `where` holds, with the
    columns of the question.
    """
    conditions = [where, *(pl.sql_expr(condition) for condition in data.filters)]
    return read_declared(
        tables, table, data.question_columns, where=pl.all_horizontal(conditions), version=version
    )


def _join(
    question: UseCase,
    settings: Settings,
    window: Interval,
    set_aside: pl.Series | None,
    sources: Mapping[str, int],
) -> tuple[pl.DataFrame, dict[str, int]]:
    tables, data = TableStore(settings.tables_uri), question.training_data
    inside = in_window(data.event_time, window.start, window.end)
    entities = questions(
        data,
        tables,
        question.table(data.entity_table),
        inside,
        version=sources[data.entity_table],
    )
    labels, counts = _labels(
        data,
        tables,
        question.table(data.label_table),
        entities,
        window,
        sources[data.label_table],
    )
    labelled = entities.join(labels, on=data.id_column, how="inner").sort(
        data.event_time, data.id_column
    )
    with_label = labelled.height
    if set_aside is not None:
        labelled = labelled.filter(~pl.col(data.id_column).is_in(set_aside.implode()))
    if labelled.height == 0:
        raise EmptyWindow(
            f"{data.name}: no labelled row between {window.start} and {window.end} "
            f"({entities.height} rows, {counts}). Run the features process for this window first."
        )
    versions = {
        view.name: sources[table_of(tables, view.table_uri)]
        for view in known_views(question, settings)
    }
    frame = point_in_time(
        question, labelled, settings, created_by=window.end, versions=versions
    ).select(data.all_columns)
    return frame, {
        "window_rows": entities.height,
        "labelled": with_label,
        "set_aside": with_label - frame.height,
        **counts,
    }


def _labels(
    data: DataSet,
    tables: TableStore,
    table: Table,
    entities: pl.DataFrame,
    window: Interval,
    version: int,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Labels known before the window ends.

    Rows without one are counted: label reported later, or never so far.
    """
    reported = pl.col(data.label_time) < pl.lit(window.end, dtype=TIMESTAMP)
    columns = [data.id_column, *data.label_columns, data.label_time]
    labels = read_declared(tables, table, columns, version=version)
    unlabelled = entities.join(labels.filter(reported), on=data.id_column, how="anti")
    later = unlabelled.join(labels, on=data.id_column, how="semi").height
    return labels.filter(reported), {
        "label_not_yet_known": later,
        "label_never_reported": unlabelled.height - later,
    }
