"""The second half of the features process: compute the feature tables and bring the online store up
to date.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.errors import DataError, NotReadyYet, SpecError
from include.interval import Interval
from include.processes.ingestion import INGEST
from include.steps import StepContext

if TYPE_CHECKING:
    import polars as pl

    from include.tables.store import TableStore

FEATURES = "features"
CREATED = "created_timestamp"
INSTANT = timedelta(microseconds=1)


def compute_features(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Write the interval's feature rows, those stamped in `(start, end]`, and record the interval
    as complete.

    A row stamped T knows what was known strictly before T, so the row stamped `end` belongs to this
    interval and serves questions just after it. Beside its stamp each row carries
    `created_timestamp`, the end of the interval that computed it: a training sees no row that was
    created after its own window. Returns `{"tables": {view: version}}`. Raises `NotReadyYet` when a
    part of the history that the features look back on has not been ingested (values computed from
    half a history would be wrong without a sign).
    """
    import polars as pl

    from include.quality.landing import use_case_data
    from include.tables.completed import mark_complete
    from include.tables.store import TIMESTAMP, TableStore

    use_case, interval = context.use_case, context.interval
    tables = TableStore(context.settings.tables_uri)
    data = use_case_data(use_case)
    # How far its features look back, `LOOK_BACK` in the use case's data.py; no history is required
    # without it.
    _check_history(tables, context, getattr(data, "LOOK_BACK", timedelta(0)))
    frames = data.compute_features(tables, interval)
    lacking = [part.view for part in use_case.feature_tables if part.view not in frames]
    if lacking:
        raise SpecError(
            f"compute_features of {use_case.name} returns {sorted(frames)}; the specification also"
            f" declares {lacking}."
        )
    written = {}
    for part in use_case.feature_tables:
        frame = frames[part.view]
        if part.windowed:
            start, end = interval.start + INSTANT, interval.end + INSTANT
            created = frame.with_columns(pl.lit(interval.end, dtype=TIMESTAMP).alias(CREATED))
            version = tables.replace_window(
                part.table, created, time_column=part.timestamp, start=start, end=end
            )
        else:
            version = tables.replace_all(
                part.table, _first_created(tables, part.table, frame, interval)
            )
        written[part.view] = version.as_json()
    mark_complete(tables, use_case.name, FEATURES, interval, {"tables": written})
    return {"tables": written}


def materialise_online(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Apply Feast's definitions and bring the online store up to a moment, never back.

    The moment: `inputs["until"]` (ISO 8601 with a time zone), else the run's parameter
    `materialise_until`, else the interval's end. Returns `{"until", "views": {view: {"written",
    "skipped"}}}`.
    """
    from include.features.online.store import materialise
    from include.features.store import apply_definitions

    until = _until(context, inputs)
    apply_definitions(context.settings)
    return {
        "until": until.isoformat(),
        "views": materialise(context.use_case, context.settings, until),
    }


def _until(context: StepContext, inputs: dict[str, Any]) -> datetime:
    wanted = inputs.get("until") or context.run.params.get("materialise_until")
    if wanted is None:
        return context.interval.end
    until = datetime.fromisoformat(str(wanted))
    if until.tzinfo is None:
        raise DataError(
            f"The moment to materialise until, {wanted!r}, has no time zone; write for example"
            f" {wanted}+00:00."
        )
    return until.astimezone(UTC)


def _first_created(
    tables: TableStore, name: str, frame: pl.DataFrame, interval: Interval
) -> pl.DataFrame:
    """A static table's rows with the end of the first interval that delivered exactly this row; a
    changed row is a new one.
    """
    import polars as pl

    from include.tables.store import TIMESTAMP

    now = frame.with_columns(pl.lit(interval.end, dtype=TIMESTAMP).alias(CREATED))
    if (
        not tables.exists(name)
        or CREATED not in (before := tables.read(name)).columns
        or set(before.columns) != set(now.columns)
    ):
        return now
    earlier = before.group_by(frame.columns).agg(pl.col(CREATED).min().alias("__before"))
    joined = frame.join(
        earlier, on=frame.columns, how="left", nulls_equal=True, maintain_order="left"
    )
    first = pl.min_horizontal("__before", pl.lit(interval.end, dtype=TIMESTAMP)).alias(CREATED)
    return joined.with_columns(first).drop("__before")


def _check_history(tables: TableStore, context: StepContext, look_back: timedelta) -> None:
    from include.tables.completed import missing

    begin = max(
        context.interval.start - look_back,
        min(context.use_case.schedule.start, context.interval.start),
    )
    gaps = missing(tables, context.use_case.name, INGEST, Interval(begin, context.interval.end))
    if gaps:
        spans = ", ".join(f"[{gap.start:%Y-%m-%d %H:%M}, {gap.end:%Y-%m-%d %H:%M})" for gap in gaps)
        raise NotReadyYet(
            f"{context.use_case.name}: the features of {context.interval.label} look back to"
            f" {begin}, and {spans} has not been ingested. Run"
            f" {context.use_case.dag_id('features')} for it first (back-fill in order)."
        )
