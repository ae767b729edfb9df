"""Point-in-time retrieval: for every row, the values that were known when its question was asked.

The definitions (join keys, TTL, timestamp field, table) are Feast's; the join is Polars' as-of
join, which returns the same cells as Feast's own retrieval at a small part of the cost
(docs/adr/0003-point-in-time-retrieval.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from include.errors import DataError, TableNotFound
from include.features.definitions import known_views
from include.features.views import View
from include.settings import Settings
from include.spec import UseCase
from include.tables.casting import cast_or_refuse
from include.tables.scan import scan_uri
from include.tables.store import TIMESTAMP

ROW = "__row"
STAMP = "__stamp"
CREATED = "__created"


def point_in_time(
    use_case: UseCase,
    entities: pl.DataFrame,
    settings: Settings,
    *,
    created_by: datetime | None = None,
    versions: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """The same rows in the same order, with a column `<view>__<feature>` per feature reference of
    the use case.

    `entities` holds the views' join keys and the use case's event time (with a time zone, never
    null). A value is that of the newest row with `event_timestamp <= event time`; null where there
    is none, where the key is null, and where the row is older than the view's TTL. Rows that were
    created after `created_by` are not seen, whatever their timestamp; of several rows with one
    timestamp the newest created counts (docs/adr/0009-created-by-cut-off.md). `versions` maps views
    to the versions of their tables that are read; without one it is the newest. Raises `DataError`
    when a column is missing, `TableNotFound` when a view has no table.
    """
    views = known_views(use_case, settings)
    _check(use_case, entities, views)
    keys = list(dict.fromkeys(key for view in views for key in view.join_keys))
    questions = entities.select(
        *keys, pl.col(use_case.event_time).cast(TIMESTAMP).alias(STAMP)
    ).with_row_index(ROW)
    # One order serves the joins of all views.
    joined, bounds = questions.sort(STAMP), _bounds(questions)
    for view in views:
        values = read_view(
            view,
            _answering(view, bounds),
            created_by=created_by,
            version=None if versions is None else versions.get(view.name),
        )
        joined = _join(joined, view, values)
    order = [reference.replace(":", "__") for reference in use_case.feature_references]
    values = joined.select(ROW, *order)
    if not values[ROW].is_sorted():
        values = values.sort(ROW)
    return entities.hstack(values.drop(ROW))


def read_view(
    view: View,
    where: pl.Expr | None = None,
    *,
    created_by: datetime | None = None,
    version: int | None = None,
) -> pl.DataFrame:
    """The rows of the view's table (the newest or `version`): join keys, timestamp, features; those
    of one timestamp as they were created.

    A table without the view's column of creation says nothing of it: its rows count as created at
    their timestamp.
    """
    try:
        frame = scan_uri(view.table_uri, version)
    except TableNotFound as error:
        raise TableNotFound(
            f"The feature view {view.name!r} has no table at {view.table_uri}; compute its features"
            " first."
        ) from error
    if where is not None:
        frame = frame.filter(where)
    there = frame.collect_schema().names()
    created = pl.col(view.created) if view.created in there else None
    if created is not None and created_by is not None:
        frame = frame.filter(created <= pl.lit(created_by, dtype=TIMESTAMP))
    values = frame.select(
        *view.join_keys,
        view.timestamp,
        # A feature that was declared after the rows were computed has no value in them.
        *(
            feature if feature in there else pl.lit(None).alias(feature)
            for feature in view.features
        ),
        *(() if created is None else (created.alias(CREATED),)),
    ).collect()
    if created is not None:
        values = _as_created(values)
    typed = cast_or_refuse(values, view.declared, f"The table of the feature view {view.name!r}")
    return typed.with_columns(_as_read(view))


def _as_created(values: pl.DataFrame) -> pl.DataFrame:
    """The rows in the order of their creation, without it; that in which they are mostly written.

    A sort within the lazy query takes several times as long.
    """
    if not values[CREATED].is_sorted():
        values = values.sort(CREATED, maintain_order=True)
    return values.drop(CREATED)


def _as_read(view: View) -> list[pl.Expr]:
    """Values as the online stores give them: a truth is the number 0 or 1, a float of 32 bits has
    no more digits than that.
    """
    casts = {"BOOL": (pl.Float64,), "FLOAT": (pl.Float32, pl.Float64)}
    made = []
    for feature in view.features:
        expression = pl.col(feature)
        for dtype in casts.get(view.types[feature], ()):
            expression = expression.cast(dtype)
        made.append(expression)
    return made


def _join(joined: pl.DataFrame, view: View, values: pl.DataFrame) -> pl.DataFrame:
    """`joined`, which is sorted by time, with the view's columns."""
    # Without null keys in the view: an as-of join would match them with each other, a look-up by
    # key never does.
    in_time = values.drop_nulls(list(view.join_keys)).sort(view.timestamp, maintain_order=True)
    return joined.join_asof(
        in_time.rename({feature: view.column(feature) for feature in view.features}),
        left_on=STAMP,
        right_on=view.timestamp,
        by=list(view.join_keys),
        strategy="backward",
        tolerance=view.ttl,
        check_sortedness=False,
    ).drop(view.timestamp)


_Bounds = tuple[datetime, datetime] | None


def _bounds(questions: pl.DataFrame) -> _Bounds:
    """The first and the last time of the questions; None of none."""
    if questions.height == 0:
        return None
    first, last = questions.select(
        pl.col(STAMP).min().alias("first"), pl.col(STAMP).max().alias("last")
    ).row(0)
    return first, last


def _answering(view: View, bounds: _Bounds) -> pl.Expr:
    """Which rows of the view's table can answer questions of these times."""
    if bounds is None:
        return pl.lit(value=False)
    first, last = bounds
    stamp = pl.col(view.timestamp)
    newest = stamp <= pl.lit(last, dtype=TIMESTAMP)
    if view.ttl is None:
        return newest
    return newest & (stamp >= pl.lit(first - view.ttl, dtype=TIMESTAMP))


def _check(use_case: UseCase, entities: pl.DataFrame, views: tuple[View, ...]) -> None:
    needed = dict.fromkeys(
        [use_case.event_time, *(key for view in views for key in view.join_keys)]
    )
    missing = [name for name in needed if name not in entities.columns]
    if missing:
        raise DataError(
            f"The entity rows lack the columns {missing}; retrieval for {use_case.name} needs"
            f" {list(needed)}."
        )
    taken = [
        name
        for view in views
        for name in map(view.column, view.features)
        if name in entities.columns
    ]
    if taken:
        raise DataError(
            f"The entity rows already hold {taken}; give retrieval the keys and the event time"
            " only."
        )
    dtype = entities.schema[use_case.event_time]
    if not (isinstance(dtype, pl.Datetime) and dtype.time_zone is not None):
        raise DataError(
            f"The event time {use_case.event_time!r} is {dtype}; it must be a timestamp with a time"
            " zone."
        )
    if entities[use_case.event_time].null_count():
        raise DataError(
            f"The event time {use_case.event_time!r} is null in"
            f" {entities[use_case.event_time].null_count()} rows."
        )
