"""How complete the log of answers is: counts, digests and gaps, and no row of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from include.evidence.records import (
    Evidence,
    Lack,
    RecordFile,
    csv_file,
    day,
    finding,
    json_file,
    missing,
)
from include.evidence.scope import Scope
from include.inference_log.log_tables import feedback_table, gaps_table, log_table
from include.tables.store import frame_digest, in_window

LEAST_DAYS = 183
"""Six months: what Article 19 of the EU AI Act asks of logs at least."""
DIGESTED = ("sequence", "prediction_id", "model_version", "score")
"""The columns that a day's digest covers: which answers there are, and what they said."""


def logged(scope: Scope) -> Iterator[Evidence]:
    """The kinds of evidence about the log of answers."""
    yield _log(scope)
    yield _feedback(scope)


def _log(scope: Scope) -> Evidence:
    name = log_table(scope.use_case.name)
    rows = _days(scope, name) if scope.tables.exists(name) else pl.DataFrame()
    is_version = pl.col("model_version") == scope.version.version
    answers = rows if rows.is_empty() else rows.filter(is_version)
    if answers.is_empty():
        return missing(
            "log",
            "an answer of this version in the log",
            "flightdeck ship beside the endpoint, or a run of monitoring",
        )
    gaps, lost = _gaps(scope, answers)
    serving, version = scope.use_case.serving, scope.tables.version(name)
    counts: dict[str, Any] = {
        "rows": int(rows["rows"].sum()),
        "rows_of_this_version": int(answers["rows"].sum()),
        "days": answers["day"].n_unique(),
        "first": answers["first"].min(),
        "last": answers["last"].max(),
        "missing_rows": lost,
        "share": serving.log_share,
        "days_of_retention": serving.log_days,
    }
    source = f"table {name} at version {version}"
    text = f"{lost:,} answers are missing from the log (inference-log/gaps.csv says why)."
    return Evidence(
        "log",
        exists=True,
        files=(
            json_file("inference-log/counts.json", counts, source),
            csv_file("inference-log/days.csv", rows, source),
            *gaps,
        ),
        facts=(
            (
                f"{counts['rows_of_this_version']:,} answers of this version on"
                f" {counts['days']} days, {lost:,} missing."
            ),
            _retention(serving.log_days),
        ),
        lacks=tuple(_lacks(scope, lost)),
        findings=(finding("log_gap", scope.use_case.name, text, lost),) if lost else (),
    )


def _lacks(scope: Scope, lost: int) -> Iterator[Lack]:
    serving, where = scope.use_case.serving, f"in use_cases/{scope.use_case.name}/spec.py"
    if serving.log_share < 1.0:
        yield Lack(
            f"{1.0 - serving.log_share:.1%} of the answers: they are sampled",
            f"declare Serving(log_share=1.0) {where}",
        )
    if serving.log_days is not None and serving.log_days < LEAST_DAYS:
        yield Lack(
            f"rows older than {serving.log_days} days",
            f"declare Serving(log_days=...) of {LEAST_DAYS} or more {where}",
        )
    if lost:
        yield Lack(f"{lost:,} answers", "nothing brings them back")


def _retention(days: int | None) -> str:
    return "Rows are kept for ever." if days is None else f"Rows are kept for {days} days."


def _days(scope: Scope, name: str) -> pl.DataFrame:
    """Of every day and version the number of rows, the first and last answer, and the digest of
    the day's rows: a day at a time, so that a log of any length fits.
    """
    time = "answered_at"
    scanned = scope.tables.scan(name).filter(_period(scope))
    counted = (
        scanned.group_by(pl.col(time).dt.date().alias("day"), "model_version")
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col(time).min().alias("first"),
            pl.col(time).max().alias("last"),
        )
        .collect()
        .sort("day", "model_version")
    )
    digests = {date: _digest(scope, name, date) for date in counted["day"].unique()}
    return counted.with_columns(
        pl.Series("digest_of_the_day", [digests[date] for date in counted["day"]], pl.String)
    )


def _period(scope: Scope) -> pl.Expr:
    """Rows of the period by the data's time or by the clock's: they differ where data are
    replayed.
    """
    return scope.period.where("answered_at") | scope.period.where(scope.use_case.event_time)


def _digest(scope: Scope, name: str, date: Any) -> str:
    start = datetime(date.year, date.month, date.day, tzinfo=UTC)
    where = in_window("answered_at", start, start + timedelta(days=1)) & _period(scope)
    return frame_digest(scope.tables.read(name, columns=list(DIGESTED), where=where))


def _gaps(scope: Scope, answered: pl.DataFrame) -> tuple[list[RecordFile], int]:
    """The rows of the table of gaps in the period, as a file, and how many answers they count; all
    of them where data were replayed, for a gap has the clock's time only.
    """
    name = gaps_table(scope.use_case.name)
    if not scope.tables.exists(name):
        return [], 0
    live = answered.filter(scope.period.where("last")).height > 0
    where = scope.period.where("noticed_at") if live else None
    rows = scope.tables.read(name, where=where)
    if rows.is_empty():
        return [], 0
    lost = int(rows["rows"].sum())
    return [csv_file("inference-log/gaps.csv", rows, f"table {name}")], lost


def _feedback(scope: Scope) -> Evidence:
    name = feedback_table(scope.use_case.name)
    rows = 0
    if scope.tables.exists(name):
        counted = (
            scope.tables.scan(name)
            .filter(scope.period.where("received_at"))
            .group_by("name")
            .agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("received_at").max().alias("last"))
            .collect()
        )
        rows = int(counted["rows"].sum())
    if not rows:
        return missing(
            "feedback",
            "what applications told about answers",
            f"POST /v1/models/{scope.use_case.name}/feedback",
        )
    newest = counted["last"].max()
    return Evidence(
        "feedback",
        exists=True,
        files=(csv_file("inference-log/feedback.csv", counted, f"table {name}"),),
        facts=(
            (
                f"{rows:,} rows of feedback"
                f"{f', the newest of {day(newest)}' if isinstance(newest, datetime) else ''}."
            ),
        ),
    )
