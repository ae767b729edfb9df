"""When the labels that applications tell as feedback can have become known.

A label of the label table is judged when its delivery lands; one that comes as feedback meets the
question that it answers only in the log.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.quality.delivery_checks import known_too_early
from include.spec import UseCase

KNOWN_AT = "known_at"
ASKED = "__asked"
ANSWERED = "answered_at"


def possible_labels(use_case: UseCase, told: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """The labels of `told` on `answers` that were known no earlier than they can be: later than the
    question's event time, by `Label.known_after` at least.

    `told` has `prediction_id`, `known_at` and `received_at`, `answers` have `prediction_id`, the
    event time and `answered_at`. Feedback that was received before its answer left says that the
    endpoint's clock was set back in between: a `known_at` that this clock supplied is moved to the
    earliest moment that is possible. Columns and order are those of `told`.
    """
    asked, known = pl.col(ASKED), pl.col(KNOWN_AT)
    questions = answers.select("prediction_id", pl.col(use_case.event_time).alias(ASKED), ANSWERED)
    joined = told.join(questions, on="prediction_id", how="inner", maintain_order="left")
    ours = (known == pl.col("received_at")) & (pl.col("received_at") < pl.col(ANSWERED))
    earliest = asked + max(use_case.label.known_after, timedelta(microseconds=1))
    moment = pl.when(ours).then(pl.max_horizontal(known, earliest)).otherwise(known)
    return (
        joined.with_columns(moment.alias(KNOWN_AT))
        .filter(~known_too_early(use_case, asked, known))
        .select(told.columns)
    )
