"""What came true: labels joined to predictions, as far as they were known when the interval
ended.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from include.data_sets.feedback_times import possible_labels
from include.interval import Interval
from include.monitoring.online_log import told_labels
from include.problems.registry import strategy_of
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore, TableVersion, in_window

LABEL = "label"
KNOWN_AT = "known_at"


def labels_table(use_case: UseCase) -> str:
    """Name of the table of online predictions' labels."""
    return f"{use_case.name}/prediction_labels"


def read_labels(use_case: UseCase, tables: TableStore, since: datetime) -> pl.DataFrame:
    """The labels reported at `since` or later: id, `label` and `known_at`; of several for one id
    the first reported.

    `label` is 0 or 1, the number of the class, or the value of a regression; null where what was
    reported is no valid label.
    """
    declared = use_case.data_set
    reported = pl.col(declared.label_time) >= pl.lit(since, dtype=TIMESTAMP)
    rows = tables.read(
        declared.label_table,
        columns=[use_case.id_column, use_case.label.column, declared.label_time],
        where=reported,
    )
    label, known_at = (
        strategy_of(use_case).label_expression().alias(LABEL),
        pl.col(declared.label_time).alias(KNOWN_AT),
    )
    renamed = rows.select(use_case.id_column, label, known_at)
    return renamed.sort(KNOWN_AT, use_case.id_column).unique(
        use_case.id_column, keep="first", maintain_order=True
    )


def attach(
    use_case: UseCase, predictions: pl.DataFrame, labels: pl.DataFrame, end: datetime
) -> pl.DataFrame:
    """`predictions` with `label` and `known_at`, null where the label was not known before `end`.

    Same rows, same order.
    """
    reported = labels.filter(pl.col(KNOWN_AT) < pl.lit(end, dtype=TIMESTAMP))
    return predictions.join(reported, on=use_case.id_column, how="left", maintain_order="left")


def count(
    use_case: UseCase, predictions: pl.DataFrame, labels: pl.DataFrame, end: datetime
) -> dict[str, int]:
    """How many predictions have a label, and why the others have none, as far as the tables tell
    now.

    `without_id` cannot be joined; `not_yet_known` has a label that was reported at `end` or later;
    `never_reported` has none so far: the event did not happen (a cancelled or diverted flight), or
    its report has not been ingested.
    """
    without_id = predictions[use_case.id_column].null_count()
    reported = predictions.join(labels, on=use_case.id_column, how="inner")
    labelled = reported.filter(pl.col(KNOWN_AT) < pl.lit(end, dtype=TIMESTAMP)).height
    return {
        "predictions": predictions.height,
        "labelled": labelled,
        "unlabelled": predictions.height - labelled,
        "not_yet_known": reported.height - labelled,
        "never_reported": predictions.height - reported.height - without_id,
        "without_id": without_id,
    }


def _written_before(use_case: UseCase, tables: TableStore, interval: Interval) -> pl.DataFrame:
    """Ids of the answers that have a label since an earlier interval."""
    name = labels_table(use_case)
    if not tables.exists(name):
        return pl.DataFrame(schema={"prediction_id": pl.String})
    return tables.read(
        name,
        columns=["prediction_id"],
        where=pl.col(KNOWN_AT) < pl.lit(interval.start, dtype=TIMESTAMP),
    )


def record_online(
    use_case: UseCase,
    tables: TableStore,
    log: pl.DataFrame,
    labels: pl.DataFrame,
    interval: Interval,
) -> TableVersion:
    """Write the labels that became known in the interval, for every answer in `log` that they
    belong to.

    Columns: prediction_id, id, event time, score, model_version, label, known_at. Windows are cut
    by `known_at`, so a label that comes after its prediction's interval is written by the interval
    in which it comes, once, and none is lost. A label that came as feedback on an answer counts
    where the label table tells nothing for it until the interval's end, and where it can have been
    known then (`include.data_sets.feedback_times`).
    """
    reported = labels.filter(in_window(KNOWN_AT, interval.start, interval.end))
    columns = [
        "prediction_id",
        use_case.id_column,
        use_case.event_time,
        "score",
        "model_version",
        LABEL,
        KNOWN_AT,
    ]
    rows = log.join(reported, on=use_case.id_column, how="inner").select(columns)
    told = told_labels(use_case, tables, labels.schema[LABEL])
    joined = possible_labels(use_case, told, log).filter(
        in_window(KNOWN_AT, interval.start, interval.end)
    )
    if joined.height:
        joined = joined.join(rows, on="prediction_id", how="anti").join(
            _written_before(use_case, tables, interval), on="prediction_id", how="anti"
        )
        rows = pl.concat([rows, log.join(joined, on="prediction_id", how="inner").select(columns)])
    rows = rows.sort(KNOWN_AT, "prediction_id")
    return tables.replace_window(
        labels_table(use_case), rows, time_column=KNOWN_AT, start=interval.start, end=interval.end
    )


def count_impossible(
    use_case: UseCase, tables: TableStore, log: pl.DataFrame, dtype: pl.DataType
) -> int:
    """How many of the labels of a type that came as feedback on answers in `log`, up to now, say
    that they were known before they can be.
    """
    told = told_labels(use_case, tables, dtype).join(log, on="prediction_id", how="semi")
    return told.height - possible_labels(use_case, told, log).height
