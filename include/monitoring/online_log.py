"""The inference log as monitoring reads it: with marked columns put back, and with the labels that
applications told.
"""

from __future__ import annotations

import polars as pl

from include.inference_log.log import CHAMPION, LABEL, feedback_table, log_table
from include.inference_log.log_tables import log_schema, was_answered
from include.inference_log.redaction import Redaction, plain_schema
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore

KNOWN_AT = "known_at"


def read_log(
    use_case: UseCase, tables: TableStore, settings: Settings, where: pl.Expr | None = None
) -> pl.DataFrame:
    """The logged answers in the order in which they were given, a shadow's scores not among them;
    no rows before the first one.

    Columns that the specification marks `hash` or `drop` are null where the id does not find them
    in the entity table. Rows of which a value that the model reads stays hidden in this way are
    left out: they can neither be scored again nor compared.
    """
    name = log_table(use_case.name)
    if not tables.exists(name):
        return pl.DataFrame(schema=plain_schema(use_case))
    stored = tables.scan(name) if where is None else tables.scan(name).filter(where)
    redaction = Redaction(settings, use_case)
    columns = set(stored.collect_schema().names())
    stored = stored.filter(was_answered(columns))
    # A mark that came later than a row leaves the row's clear value in its column.
    frame = stored.select(
        pl.col(column).cast(dtype) if column in columns else pl.lit(None, dtype=dtype).alias(column)
        for column, dtype in log_schema(use_case).items()
    ).collect()
    frame = redaction.lift(tables, frame.with_columns(pl.col("arm").fill_null(CHAMPION)))
    sources = {item.source for item in use_case.inputs}
    hidden = [
        column
        for column in redaction.marked
        if column in sources and use_case.id_column in frame.columns
    ]
    if hidden:
        frame = frame.filter(pl.any_horizontal(pl.col(column).is_not_null() for column in hidden))
    return frame.sort("sequence", "prediction_id")


def told_labels(use_case: UseCase, tables: TableStore, dtype: pl.DataType) -> pl.DataFrame:
    """Labels that came as feedback:

    `prediction_id`, `label` as `dtype`, `known_at` and `received_at`, one row per answer.
    """
    name = feedback_table(use_case.name)
    if not tables.exists(name):
        schema = {LABEL: dtype, KNOWN_AT: TIMESTAMP, "received_at": TIMESTAMP}
        return pl.DataFrame(schema={"prediction_id": pl.String, **schema})
    content = pl.col("text") if dtype == pl.String else pl.col("value").cast(dtype, strict=False)
    rows = tables.read(name, where=pl.col("name") == LABEL).select(
        "prediction_id", content.alias(LABEL), KNOWN_AT, "received_at"
    )
    return rows.drop_nulls(LABEL).unique("prediction_id", keep="first", maintain_order=True)
