"""The training set of one run: labelled rows of a window with what was known when each question was asked.

A snapshot is one version of one Delta table. The same window over the same tables gives the same version.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from include.data.tables import TIMESTAMP, TableStore, frame_digest, in_window
from include.errors import DigestMismatch, EmptyWindow
from include.settings import Settings
from include.spec import UseCase
from include.steps import Interval


@dataclass(frozen=True)
class Snapshot:
    """A training set by table, version and digest of its rows; `start` and `end` bound the event times (ISO 8601)."""

    name: str
    uri: str
    version: int
    digest: str
    rows: int
    start: str
    end: str

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def training_window(use_case: UseCase, interval: Interval) -> Interval:
    """The `window_days` before the run's interval ends."""
    return Interval(interval.end - timedelta(days=use_case.training.window_days), interval.end)


def build(
    use_case: UseCase, settings: Settings, interval: Interval, *, set_aside: pl.Series | None = None
) -> tuple[Snapshot, dict[str, int]]:
    """Join, write and record the snapshot; the second value counts the window's rows with and without a label.

    Rows whose id is in `set_aside` (the golden set's) stay out and are counted.
    Raises `EmptyWindow` when no row of the window has a label yet.
    """
    from include.features.retrieval import point_in_time

    tables, window = TableStore(settings.tables_uri), training_window(use_case, interval)
    entities = _entities(use_case, tables, window)
    labels, counts = _labels(use_case, tables, entities, window)
    labelled = entities.join(labels, on=use_case.id_column, how="inner").sort(use_case.event_time, use_case.id_column)
    known = labelled.height
    if set_aside is not None:
        labelled = labelled.filter(~pl.col(use_case.id_column).is_in(set_aside.implode()))
    if labelled.height == 0:
        raise EmptyWindow(
            f"{use_case.name}: no labelled row between {window.start} and {window.end} "
            f"({entities.height} rows, {counts}). Run the features process for this window first."
        )
    frame = point_in_time(use_case, labelled, settings, created_by=window.end).select(snapshot_columns(use_case))
    name = f"{use_case.name}/snapshots/{window.label}"
    written = tables.replace_all(name, frame)
    bounds = window.as_json()
    snapshot = Snapshot(name, written.uri, written.version, frame_digest(frame), frame.height, bounds["start"], bounds["end"])
    return snapshot, {"window_rows": entities.height, "labelled": known, "set_aside": known - frame.height, **counts}


def snapshot_columns(use_case: UseCase) -> list[str]:
    """Id, event time, entity keys, request fields, `<view>__<feature>` of every input from the store, label, label time."""
    fields = [field.name for field in use_case.serving.request_fields]
    features = [reference.replace(":", "__") for reference in use_case.feature_references]
    label = [use_case.label.column, use_case.label.time_column]
    return list(dict.fromkeys([use_case.id_column, use_case.event_time, *use_case.serving.entity_keys, *fields, *features, *label]))


def read(use_case: UseCase, settings: Settings, record: dict[str, Any]) -> pl.DataFrame:
    """The rows of a recorded snapshot, sorted by event time and id.

    Raises `TableNotFound` when the version is gone, `DigestMismatch` when its rows are not those that were recorded.
    """
    frame = TableStore(settings.tables_uri).read(record["name"], version=record["version"])
    digest = frame_digest(frame)
    if digest != record["digest"]:
        raise DigestMismatch(
            f"Snapshot {record['name']} version {record['version']} has digest {digest[:16]}, recorded was {record['digest'][:16]}. "
            "Its files were changed; build the snapshot again in a new run."
        )
    return frame.sort(use_case.event_time, use_case.id_column)


def _entities(use_case: UseCase, tables: TableStore, window: Interval) -> pl.DataFrame:
    fields = [field.name for field in use_case.serving.request_fields]
    columns = list(dict.fromkeys([use_case.id_column, use_case.event_time, *use_case.serving.entity_keys, *fields]))
    return tables.read(use_case.entity_table, columns=columns, where=in_window(use_case.event_time, window.start, window.end))


def _labels(use_case: UseCase, tables: TableStore, entities: pl.DataFrame, window: Interval) -> tuple[pl.DataFrame, dict[str, int]]:
    """Labels known before the window ends. Rows without one are counted: label reported later, or never so far."""
    label = use_case.label
    known = pl.col(label.time_column) < pl.lit(window.end, dtype=TIMESTAMP)
    labels = tables.read(label.table, columns=[use_case.id_column, label.column, label.time_column])
    unlabelled = entities.join(labels.filter(known), on=use_case.id_column, how="anti")
    later = unlabelled.join(labels, on=use_case.id_column, how="semi").height
    return labels.filter(known), {"label_not_yet_known": later, "label_never_reported": unlabelled.height - later}
