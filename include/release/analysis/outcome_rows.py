"""The labels and rewards of a rollout's answers that are known by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from include.data_sets.feedback_times import possible_labels
from include.inference_log.log import LABEL, feedback_table
from include.inference_log.log_tables import FEEDBACK_SCHEMA
from include.inference_log.redaction import Redaction
from include.problems.registry import strategy_of
from include.release.analysis.observed import Matured
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore

REWARD = "reward"
"""The name of the feedback that says what an answer was worth to the application."""


def matured(
    use_case: UseCase,
    settings: Settings,
    tables: TableStore,
    rows: pl.DataFrame,
    unit: Sequence[str] = (),
) -> tuple[Matured, ...]:
    """The outcomes of both arms; `rows` are the log's rows that their own arm answered, the arm in
    the column `arm`. Where they hold all columns of `unit`, the variances are those of units.
    """
    if rows.height == 0:
        return ()
    labelled = labelled_rows(use_case, settings, tables, rows)
    if labelled.height:
        losses = strategy_of(use_case).row_losses(labelled)
        labelled = labelled.with_columns(pl.Series("outcome", losses, dtype=pl.Float64))
    rewarded = rows.join(_told(tables, use_case, REWARD), on="prediction_id", how="inner")
    return (
        *_summaries("loss", labelled, unit),
        *_summaries("reward", rewarded.with_columns(outcome=pl.col("value")), unit),
    )


def _summaries(metric: str, frame: pl.DataFrame, unit: Sequence[str]) -> Iterator[Matured]:
    if frame.height == 0:
        return
    least, most = (
        float(bound)
        for bound in frame.select(least=pl.col("outcome").min(), most=pl.col("outcome").max()).row(
            0
        )
    )
    for role, group in frame.group_by("arm", maintain_order=True):
        outcome = group["outcome"]
        yield Matured(
            metric=metric,
            role=str(role[0]),
            rows=group.height,
            mean=float(outcome.mean() or 0.0),  # type: ignore[arg-type]  # of floats it is a float
            variance=_variance(group, unit),
            least=min(least, 0.0),
            most=max(most, 1.0),
        )


def _variance(group: pl.DataFrame, unit: Sequence[str]) -> float:
    """The variance of one outcome, as large as makes that of the mean right where the outcomes of a
    unit resemble each other.
    """
    apart = group.with_columns(apart=pl.col("outcome") - pl.col("outcome").mean())
    plain = float((apart["apart"] ** 2).sum()) / group.height
    if not unit or any(name not in group.columns for name in unit):
        return plain
    sums = apart.group_by(list(unit)).agg(pl.col("apart").sum())["apart"]
    return max(float((sums**2).sum()) / group.height, plain)


def labelled_rows(
    use_case: UseCase, settings: Settings, tables: TableStore, rows: pl.DataFrame
) -> pl.DataFrame:
    """`rows` with `label`, where one is known: of the label table, else what the application told
    and can have been known (`include.data_sets.feedback_times`).
    """
    labels = _reported(use_case, settings, tables, rows)
    known = rows.join(labels, on=use_case.id_column, how="inner").drop_nulls(LABEL)
    dtype = labels.schema[LABEL]
    told = possible_labels(use_case, _told(tables, use_case, LABEL), rows).with_columns(
        (pl.col("text") if dtype == pl.String else pl.col("value").cast(dtype, strict=False)).alias(
            LABEL
        )
    )
    others = rows.join(known, on="prediction_id", how="anti")
    rest = others.join(told.drop_nulls(LABEL), on="prediction_id", how="inner")
    return pl.concat([known, rest.select(known.columns)])


def _reported(
    use_case: UseCase, settings: Settings, tables: TableStore, rows: pl.DataFrame
) -> pl.DataFrame:
    """Id and label of the label table since the first of the rows, as the log writes the id."""
    declared, identifier = use_case.data_set, use_case.id_column
    empty = rows.select(identifier, pl.lit(0).cast(pl.Int64).alias(LABEL)).clear()
    mark = use_case.privacy(identifier)
    if mark == "drop" or not tables.exists(declared.label_table):
        return empty
    first = rows[use_case.event_time].min()
    reported = tables.read(
        declared.label_table,
        columns=list(dict.fromkeys([identifier, use_case.label.column, declared.label_time])),
        where=pl.col(declared.label_time) >= pl.lit(first, dtype=TIMESTAMP),
    )
    labels = reported.sort(declared.label_time).select(
        identifier, strategy_of(use_case).label_expression().alias(LABEL)
    )
    if mark == "hash":
        redaction = Redaction(settings, use_case)
        hidden = [redaction.hashed(identifier, value) for value in labels[identifier].to_list()]
        labels = labels.with_columns(pl.Series(identifier, hidden, dtype=pl.String))
    return labels.unique(identifier, keep="first", maintain_order=True)


def _told(tables: TableStore, use_case: UseCase, name: str) -> pl.DataFrame:
    """What applications told under a name: `prediction_id`, `value`, `text` and both times, once
    per answer.
    """
    table = feedback_table(use_case.name)
    columns = ["prediction_id", "value", "text", "known_at", "received_at"]
    if not tables.exists(table):
        return pl.DataFrame(schema={column: FEEDBACK_SCHEMA[column] for column in columns})
    rows = tables.read(table, columns=columns, where=pl.col("name") == name)
    told = rows.filter(pl.col("value").is_not_null() | pl.col("text").is_not_null())
    return told.unique("prediction_id", keep="first", maintain_order=True)
