"""The Delta tables of what the endpoint answered and was told: their columns, and how rows of the
spool become rows of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from include.inference_log.rows import CHAMPION, SHADOW
from include.spec import UseCase, feature_types, request_model
from include.tables.store import TIMESTAMP
from include.tables.types import TYPES

FEEDBACK_SCHEMA: dict[str, Any] = {
    "sequence": pl.Int64,
    "prediction_id": pl.String,
    "name": pl.String,
    "value": pl.Float64,
    "text": pl.String,
    "known_at": TIMESTAMP,
    "received_at": TIMESTAMP,
}
GAPS_SCHEMA: dict[str, Any] = {
    "sequence": pl.Int64,
    "rows": pl.Int64,
    "total": pl.Int64,
    "noticed_at": TIMESTAMP,
    "reason": pl.String,
}


def log_table(use_case_name: str) -> str:
    """Name of the table of answered predictions."""
    return f"{use_case_name}/inference_log"


def feedback_table(use_case_name: str) -> str:
    """Name of the table of what applications told about answers."""
    return f"{use_case_name}/feedback"


def gaps_table(use_case_name: str) -> str:
    """Name of the table that says how many answers a full disk kept out of the log."""
    return f"{use_case_name}/inference_log_gaps"


def log_schema(use_case: UseCase) -> dict[str, Any]:
    """Columns and Polars types of the Delta table `<use_case>/inference_log`.

    The event time, the id, entity keys, request fields and `view__feature` columns have the names
    they have everywhere. A column that the specification marks `hash` holds text, one marked `drop`
    is not there (the id is always there; dropped, it is null).
    """
    types = {column.name: column.type for column in request_model(use_case)}
    columns: dict[str, Any] = {
        "prediction_id": pl.String,
        "sequence": pl.Int64,
        "model_version": pl.Int64,
        "answered_at": TIMESTAMP,
        use_case.event_time: TIMESTAMP,
        use_case.id_column: pl.String
        if use_case.privacy(use_case.id_column) == "hash"
        else TYPES[types[use_case.id_column]],
    }
    for name in use_case.request_columns:
        mark = use_case.privacy(name)
        if mark != "drop":
            columns[name] = pl.String if mark == "hash" else TYPES[types[name]]
    columns.update({name: TYPES[kind] for name, kind in feature_types(use_case).items()})
    return {
        **columns,
        "score": pl.Float64,
        "decision": pl.Boolean,
        "flags": pl.List(pl.String),
        "latency_ms": pl.Float64,
        "arm": pl.String,
        "attributions": pl.String,
        "plan": pl.Int64,
        "model_digest": pl.String,
        "fallback": pl.String,
        **{name: TYPES[kind] for name, kind in use_case.problem.answer_columns.items()},
    }


def was_answered(columns: Iterable[str]) -> pl.Expr:
    """The filter of a log's rows that keeps those which went to a caller: a shadow's did not.

    `columns` are the table's; one from before the arms holds answers only.
    """
    return pl.col("arm").fill_null(CHAMPION) != SHADOW if "arm" in columns else pl.lit(True)


def log_frame(
    use_case: UseCase,
    rows: Sequence[tuple[Any, ...]],
    stored: Mapping[str, pl.DataType] | None = None,
) -> pl.DataFrame:
    """Rows of `Spool.read` or of `include.inference_log.shipments.rows_of` as the typed columns of
    `log_schema`.

    Columns of the table as it is `stored` stay, filled where an older version answered that reads
    what the specification has dropped.
    """
    schema = {**log_schema(use_case), **_former_columns(use_case, stored or {})}
    records = [_record(use_case, row) for row in rows]
    times = [
        name
        for name, dtype in schema.items()
        if dtype == TIMESTAMP and name not in ("answered_at", use_case.event_time)
    ]
    raw = {
        name: pl.String if name in times else pl.Int64 if dtype == TIMESTAMP else dtype
        for name, dtype in schema.items()
    }
    frame = pl.DataFrame(
        {name: [record.get(name) for record in records] for name in schema},
        schema=raw,
        strict=False,
    )
    return frame.with_columns(
        pl.col("answered_at", use_case.event_time).cast(TIMESTAMP),
        *(pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in times),
    )


def _former_columns(use_case: UseCase, stored: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """The table's columns that are declared no more and may be logged still."""
    marked = {
        column.name
        for column in use_case.table(use_case.entity_table).columns
        if column.privacy == "drop"
    }
    declared = log_schema(use_case)
    return {
        name: dtype for name, dtype in stored.items() if name not in declared and name not in marked
    }


def feedback_frame(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of `Spool.read_feedback` as the typed columns of `FEEDBACK_SCHEMA`."""
    return _typed(rows, FEEDBACK_SCHEMA)


def gaps_frame(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of `Spool.read_gaps` as the typed columns of `GAPS_SCHEMA`."""
    return _typed(rows, GAPS_SCHEMA)


def _typed(rows: Sequence[tuple[Any, ...]], schema: dict[str, Any]) -> pl.DataFrame:
    raw = {name: pl.Int64 if dtype == TIMESTAMP else dtype for name, dtype in schema.items()}
    return pl.DataFrame(list(rows), schema=raw, orient="row").cast(pl.Schema(schema))


def _record(use_case: UseCase, row: tuple[Any, ...]) -> dict[str, Any]:
    (
        sequence,
        prediction_id,
        _,
        version,
        answered_at,
        event_time,
        target_id,
        request,
        features,
        score,
    ) = row[:10]
    decision, flags, latency_ms, arm, attributions, predicted_class = row[10:16]
    # Frames of the journal from before the plans end here.
    plan, model_digest, fallback = row[16:] or (None, None, None)
    return {
        **_value(request),
        **_value(features),
        "prediction_id": prediction_id,
        "sequence": sequence,
        "model_version": version,
        "answered_at": answered_at,
        use_case.event_time: event_time,
        use_case.id_column: _identifier(use_case, target_id),
        "score": score,
        "decision": bool(decision),
        "flags": _value(flags),
        "latency_ms": latency_ms,
        "arm": arm,
        "attributions": orjson.dumps(attributions).decode()
        if isinstance(attributions, dict)
        else attributions,
        "predicted_class": predicted_class,
        "plan": plan,
        "model_digest": model_digest,
        "fallback": fallback,
    }


def _identifier(use_case: UseCase, stored: Any) -> Any:
    """Rows of the spool hold every id as text, rows of the journal as it was."""
    column = next(part for part in request_model(use_case) if part.name == use_case.id_column)
    whole = column.type == "integer" and use_case.privacy(column.name) == "clear"
    return int(stored) if whole and isinstance(stored, str) else stored


def _value(stored: Any) -> Any:
    """Rows of the spool hold JSON, rows of the journal what it stood for."""
    return orjson.loads(stored) if isinstance(stored, str) else stored
