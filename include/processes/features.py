"""The steps of the features process: land the source's rows, validate and publish them, compute the
feature tables, bring the online store up to date, and count new labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import polars as pl

from include.catalogue import load_data_module
from include.errors import DataError, FeatureStoreError, NotReadyYet, SpecError
from include.features.declared import declared_views, features_of
from include.features.online.store import materialise
from include.features.repository import applied, names_of, reasons
from include.features.statistics import describe, write_statistics
from include.features.store import apply_definitions
from include.interval import Interval
from include.processes.neighbours import require_alone
from include.processes.results import (
    ComputedFeatures,
    DataVerdict,
    LandedTables,
    MaterialisedViews,
    PublishedTables,
)
from include.quality.delivery_verdict import judge_delivery
from include.quality.landing import declared_columns, land, read_landed, write_rows
from include.quality.published import describe_table, record
from include.release.in_service import champion_in_service
from include.sources.frames import to_polars
from include.spec import FeatureTable, Table, UseCase
from include.steps import StepContext
from include.tables.casting import cast_or_refuse
from include.tables.completed import mark_complete, missing
from include.tables.erased import ErasedKeys
from include.tables.evolution import with_types_of
from include.tables.fence import Fence
from include.tables.store import TIMESTAMP, TableStore, TableVersion
from include.triggers import policy
from include.triggers.policy import Announcement

INGEST = "ingest"
FEATURES = "features"
CREATED = "created_timestamp"
STATISTICS = "statistics"
INSTANT = timedelta(microseconds=1)


def ingest_source(context: StepContext) -> LandedTables:
    """Land the interval's source rows.

    Raises `SpecError` where another use case writes one of the tables too, and `NotReadyYet` when
    one that writes a table for this use case has not ingested the interval.
    """
    require_alone(context.use_case, context.settings)
    tables = TableStore(context.settings.tables_uri)
    _await(tables, context, INGEST, context.interval, context.use_case.tables)
    return LandedTables(tables=land(tables, context.use_case, context.interval, context.settings))


def validate_data(context: StepContext, landed: LandedTables) -> DataVerdict:
    """Validate the rows that were landed; bad data is a verdict and never an error."""
    champion, failures = champion_in_service(context.use_case, context.settings)
    versions = {name: version.version for name, version in landed.tables.items()}
    return DataVerdict(**judge_delivery(context, versions, champion, failures))


def publish_tables(
    context: StepContext, landed: LandedTables, verdict: DataVerdict
) -> PublishedTables:
    """Copy the landed rows that were validated to the tables of the specification and record the
    interval as ingested.

    Columns that are not declared are left out. The interval's statistics are kept: later deliveries
    are compared with them. Raises `DataError` when the verdict does not accept the rows, `LateStep`
    when what was landed later has been published already.
    """
    if verdict.accepted is not True:
        raise DataError(
            f"{context.use_case.name} {context.interval.label}: the landed rows have not been"
            f" accepted ({'; '.join(verdict.reasons)}); only validated rows are published."
        )
    tables = TableStore(context.settings.tables_uri)
    fences = _landing_fences(context, tables, landed)
    erased = ErasedKeys(context.settings, context.use_case.name)
    published: dict[str, TableVersion] = {}
    described = []
    for table in context.use_case.own_tables:
        frame = read_landed(tables, table, context.interval, landed.tables[table.name].version)
        rows = cast_or_refuse(frame, declared_columns(context.use_case, table), table.name)
        # Somebody may have been erased since the rows were landed.
        declared = erased.without(rows.select(column.name for column in table.columns))
        published[table.name] = write_rows(
            tables, table.name, table, declared, context.interval, fences[table.name]
        )
        described.append(describe_table(table, declared, context.interval))
    record(tables, context.use_case, described, fences[STATISTICS])
    mark_complete(tables, context.use_case.name, INGEST, context.interval, _evidence(published))
    return PublishedTables(tables=published)


def compute_features(context: StepContext) -> ComputedFeatures:
    """Write the interval's feature rows, those stamped in `(start, end]`, and record the interval
    as complete.

    A row stamped T knows what was known strictly before T, so the row stamped `end` belongs to this
    interval and serves questions just after it. Beside its stamp each row carries
    `created_timestamp`, the end of the interval that computed it: a training sees no row that was
    created after its own window. Raises `NotReadyYet` when a part of the history that the features
    look back on has not been ingested (values computed from half a history would be wrong without a
    sign), and `DataError` naming view, column and row of a value that is not what feature_repo
    declares. Nothing is written then. Statistics of the values are written beside each view.
    """
    use_case, interval = context.use_case, context.interval
    tables = TableStore(context.settings.tables_uri)
    data = load_data_module(use_case)
    # How far its features look back, `LOOK_BACK` in the use case's data.py; no history is required
    # without it.
    _check_history(tables, context, getattr(data, "LOOK_BACK", timedelta(0)))
    # Taken before anything is read: what is read is this new at least.
    fence = _feature_fence(context, tables)
    typed = _typed(context, _computed(data, tables, use_case, interval))
    written: dict[str, TableVersion] = {}
    for part in use_case.own_feature_tables:
        frame = typed[part.view]
        if part.windowed:
            start, end = interval.start + INSTANT, interval.end + INSTANT
            created = frame.with_columns(pl.lit(interval.end, dtype=TIMESTAMP).alias(CREATED))
            version = tables.replace_window(
                part.table, created, time_column=part.timestamp, start=start, end=end, fence=fence
            )
        else:
            version = tables.replace_all(
                part.table, _first_created(tables, part.table, frame, interval), fence=fence
            )
        written[part.view] = version
    described = _describe(context, tables, typed, fence)
    mark_complete(tables, use_case.name, FEATURES, interval, _evidence(written))
    return ComputedFeatures(tables=written, statistics=described)


def _describe(
    context: StepContext, tables: TableStore, typed: Mapping[str, pl.DataFrame], fence: Fence
) -> dict[str, TableVersion]:
    """Statistics of the interval's values beside each view's table."""
    names, interval = features_of(context.settings, list(typed)), context.interval
    return {
        view: write_statistics(
            tables, view, describe(frame, names[view], interval), interval, fence
        )
        for view, frame in typed.items()
    }


def _typed(context: StepContext, frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """By view, the rows that data.py computed as feature_repo declares them."""
    use_case = context.use_case
    views = [part.view for part in use_case.own_feature_tables]
    lacking = [view for view in views if view not in frames]
    if lacking:
        raise SpecError(
            f"compute_features of {use_case.name} returns {sorted(frames)}; the specification also"
            f" declares {lacking}."
        )
    declared = declared_views(context.settings, views)
    return {
        view: cast_or_refuse(frames[view], declared[view], f"The feature view {view!r}")
        for view in views
    }


def materialise_online(context: StepContext, *, until: datetime | None = None) -> MaterialisedViews:
    """Apply Feast's definitions and bring the online store up to a moment, never back.

    The moment: `until`, else the run's parameter `materialise_until` (ISO 8601), else the
    interval's end. Raises `DataError` for one without a time zone.
    """
    moment = _moment(context) if until is None else until
    if moment.tzinfo is None:
        raise DataError(
            f"The moment to materialise until, {moment.isoformat()!r}, has no time zone; write for"
            f" example {moment.isoformat()}+00:00."
        )
    moment = moment.astimezone(UTC)
    apply_definitions(context.settings)
    _require_applied(context)
    views = materialise(context.use_case, context.settings, moment)
    return MaterialisedViews(until=moment.isoformat(), views=views)


def _require_applied(context: StepContext) -> None:
    """Raise `FeatureStoreError` where the definitions that the use case needs were not applied."""
    use_case = context.use_case
    views = [item.view for item in use_case.inputs if item.view is not None]
    why = reasons(applied(context.settings), names_of(views, use_case.feature_service))
    if why:
        raise FeatureStoreError("\n".join(why))


def check_new_data(context: StepContext) -> Announcement:
    """Whether enough labels became known since the last training to start the next one."""
    return policy.check_new_data(context)


def _computed(
    data: ModuleType, tables: TableStore, use_case: UseCase, interval: Interval
) -> dict[str, pl.DataFrame]:
    """By view, what `compute_features` of data.py gives, in frames of any library."""
    if not use_case.own_feature_tables:
        return {}
    where = f"compute_features of {use_case.name}"
    return {
        view: to_polars(frame, f"{where}, {view!r},")
        for view, frame in data.compute_features(tables, interval).items()
    }


def _moment(context: StepContext) -> datetime:
    text = context.run.params.get("materialise_until")
    return context.interval.end if text is None else datetime.fromisoformat(str(text))


def _landing_fences(
    context: StepContext, tables: TableStore, landed: LandedTables
) -> dict[str, Fence]:
    """By table, that its rows come from this version of the landing."""
    writer, label = context.run.names("publish_tables"), context.interval.label
    numbers = {name: version.version for name, version in landed.tables.items()}
    numbers[STATISTICS] = sum(numbers.values())
    origin = _origin(tables, [version.name for version in landed.tables.values()])
    return {
        name: Fence(f"{context.use_case.name} {INGEST} {name} {label} {origin}", number, writer)
        for name, number in numbers.items()
    }


def _feature_fence(context: StepContext, tables: TableStore) -> Fence:
    """That features are computed from these versions of the tables; their sum only grows."""
    names = [table.name for table in context.use_case.tables if tables.exists(table.name)]
    return Fence(
        f"{context.use_case.name} {FEATURES} {context.interval.label} {_origin(tables, names)}",
        sum(tables.version(name) for name in names),
        context.run.names("compute_features"),
    )


def _origin(tables: TableStore, names: Sequence[str]) -> str:
    """A table that was made anew counts its versions anew: its name alone would refuse them."""
    identities = sorted(tables.identity(name) for name in names)
    return hashlib.sha256("".join(identities).encode()).hexdigest()[:12]


def _evidence(written: Mapping[str, TableVersion]) -> dict[str, Any]:
    return {"tables": {name: version.as_json() for name, version in written.items()}}


def _first_created(
    tables: TableStore, name: str, frame: pl.DataFrame, interval: Interval
) -> pl.DataFrame:
    """A static table's rows with the end of the first interval that delivered exactly this row; a
    changed row is a new one.

    A column that the table gains says nothing of its rows' age: it comes from the same source.
    """
    now = frame.with_columns(pl.lit(interval.end, dtype=TIMESTAMP).alias(CREATED))
    if not tables.exists(name) or CREATED not in (before := tables.read(name)).columns:
        return now
    common = [column for column in frame.columns if column in before.columns]
    try:
        before = with_types_of(name, before, frame)
    except DataError:  # rows of another kind, all of which are about to be replaced
        return now
    earlier = before.group_by(common).agg(pl.col(CREATED).min().alias("__before"))
    joined = frame.join(earlier, on=common, how="left", nulls_equal=True, maintain_order="left")
    first = pl.min_horizontal("__before", pl.lit(interval.end, dtype=TIMESTAMP)).alias(CREATED)
    return joined.with_columns(first).drop("__before")


def _check_history(tables: TableStore, context: StepContext, look_back: timedelta) -> None:
    begin = max(
        context.interval.start - look_back,
        min(context.use_case.schedule.start, context.interval.start),
    )
    gaps = missing(tables, context.use_case.name, INGEST, Interval(begin, context.interval.end))
    if gaps:
        raise NotReadyYet(
            f"{context.use_case.name}: the features of {context.interval.label} look back to"
            f" {begin}, and {_spans(gaps)} has not been ingested. Run"
            f" {context.use_case.dag_id('features')} for it first (back-fill in order)."
        )
    _await(tables, context, FEATURES, context.interval, context.use_case.feature_tables)


def _await(
    tables: TableStore,
    context: StepContext,
    process: str,
    interval: Interval,
    shared: Sequence[Table | FeatureTable],
) -> None:
    """Raise `NotReadyYet` unless the use cases that write the tables have finished the interval."""
    for writer in dict.fromkeys(part.written_by for part in shared if part.written_by):
        gaps = missing(tables, writer, process, interval)
        if gaps:
            names = [
                part.name if isinstance(part, Table) else part.table
                for part in shared
                if part.written_by == writer
            ]
            raise NotReadyYet(
                f"{context.use_case.name} reads {names}, which {writer} writes, and"
                f" {_spans(gaps)} is not there yet. Run {writer}__features for it first."
            )


def _spans(gaps: Sequence[Interval]) -> str:
    return ", ".join(f"[{gap.start:%Y-%m-%d %H:%M}, {gap.end:%Y-%m-%d %H:%M})" for gap in gaps)
