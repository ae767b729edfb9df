"""The log's row of one answer, by the prediction id that the caller got, or by what was asked about
and when. Whoever asks for a row that is not there learns why.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from include.errors import DataError
from include.inference_log.log import SHADOW, gaps_table, log_table, ship, was_answered
from include.inference_log.redaction import Redaction
from include.inference_log.rows import SHADOW_VERSION, id_moment
from include.inference_log.writer import is_sampled
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TIMESTAMP, TableStore

ANSWERED_AT = "answered_at"
ID = "prediction_id"


def logged_answer(settings: Settings, use_case: UseCase, prediction_id: str) -> pl.DataFrame:
    """The one row of the log that was answered under this id; what the journal still holds is
    shipped first. Raises `DataError` that says why there is none.
    """
    tables = TableStore(settings.tables_uri)
    answers = _answers(settings, use_case, tables)
    row = answers.filter(pl.col(ID) == prediction_id).unique(ID).collect()
    if row.height == 0:
        raise DataError(
            f"The log of {use_case.name} has no answer {prediction_id!r}:"
            f" {_why_missing(use_case, tables, answers, prediction_id)}"
        )
    return row


def answers_about(
    settings: Settings, use_case: UseCase, entity: Mapping[str, str], at: datetime
) -> pl.DataFrame:
    """The answers about an entity until a moment (time-zone aware), the newest first.

    `entity` has values as text by the name of the id, of entity keys or of request fields; a column
    that the log keeps as a hash is looked up by that of the value. Raises `DataError` for another
    name, for a column that the log does not keep, and where nothing was answered.
    """
    answers = _answers(settings, use_case, TableStore(settings.tables_uri))
    schema = answers.collect_schema()
    conditions = [
        _equals(settings, use_case, schema, name, value) for name, value in entity.items()
    ]
    about = answers.filter(*conditions, pl.col(ANSWERED_AT) <= pl.lit(at, dtype=TIMESTAMP))
    rows = about.collect().sort(ANSWERED_AT, ID, descending=True)
    if rows.height == 0:
        what = ", ".join(f"{name}={value}" for name, value in entity.items())
        raise DataError(
            f"{use_case.name} answered nothing about {what} until {at.isoformat()}."
            f" {_range(answers)}"
        )
    return rows


def _answers(settings: Settings, use_case: UseCase, tables: TableStore) -> pl.LazyFrame:
    ship(settings, use_case.name)
    name = log_table(use_case.name)
    if not tables.exists(name):
        raise DataError(
            f"The log of {use_case.name} has no answer yet: there is no table {name} below"
            f" {tables.root}. Where the endpoint runs on another host, `flightdeck ship` brings its"
            " rows."
        )
    stored = tables.scan(name)
    return stored.filter(was_answered(stored.collect_schema().names()))


def _equals(
    settings: Settings, use_case: UseCase, schema: Mapping[str, Any], name: str, value: str
) -> pl.Expr:
    valid = list(dict.fromkeys([use_case.id_column, *use_case.request_columns]))
    if name not in valid:
        raise DataError(
            f"{use_case.name} is not asked about {name!r}; its id, entity keys and request fields"
            f" are {valid}."
        )
    redaction = Redaction(settings, use_case)
    mark = redaction.marked.get(name)
    if mark == "drop":
        raise DataError(
            f"The log does not keep {name!r}: the specification marks it drop. Name another of"
            f" {[column for column in valid if redaction.marked.get(column) != 'drop']}."
        )
    text = redaction.hashed(name, value) if mark == "hash" else value
    try:
        typed = _typed(text, schema[name])
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(f"{name}={value!r} is no {schema[name]}: {error}") from error
    return pl.col(name) == pl.lit(typed, dtype=schema[name])


def _typed(text: str | None, dtype: Any) -> Any:
    if isinstance(dtype, pl.Datetime):
        moment = datetime.fromisoformat(str(text))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return pl.Series([text]).cast(dtype)[0]


def _why_missing(
    use_case: UseCase, tables: TableStore, answers: pl.LazyFrame, prediction_id: str
) -> str:
    moment = id_moment(prediction_id)
    if moment is None:
        return (
            "that is no prediction id, which has 32 hexadecimal digits and stands in every row of"
            " an answer as `prediction_id`; an X-Request-Id names a whole request. Find the row by"
            f" what was asked: --entity {use_case.request_columns[0]}=VALUE --at TIME."
        )
    if prediction_id[12] == SHADOW_VERSION:
        return f"it is the row of a {SHADOW}, which was compared and went to nobody."
    when = f"the id was made at {moment.isoformat(timespec='seconds')}"
    days, span = use_case.serving.log_days, _span(answers)
    if days is not None and span is not None and moment < span[0]:
        return (
            f"{when}, and the log keeps answers for {days} days (serving.log_days); the oldest that"
            f" is left is of {span[0].isoformat(timespec='seconds')}. What a later review needs of"
            " an answer must be asked for before."
        )
    if not is_sampled(prediction_id, use_case.serving.log_share):
        return (
            f"{when}, and the log takes a share of {use_case.serving.log_share:g} of the answers"
            " (serving.log_share), to which this id does not belong."
        )
    gaps = " A full disk has kept answers out of it, too." if _has_gaps(use_case, tables) else ""
    return f"{when}. {_range(answers)}{gaps} Compare the id, and the name of the use case."


def _range(answers: pl.LazyFrame) -> str:
    span = _span(answers)
    if span is None:
        return "The log holds no answer now."
    first, last = (moment.isoformat(timespec="seconds") for moment in span)
    return f"The log holds answers from {first} to {last}."


def _span(answers: pl.LazyFrame) -> tuple[datetime, datetime] | None:
    column = pl.col(ANSWERED_AT)
    first, last = answers.select(first=column.min(), last=column.max()).collect().row(0)
    return None if first is None else (first, last)


def _has_gaps(use_case: UseCase, tables: TableStore) -> bool:
    return tables.exists(gaps_table(use_case.name))
