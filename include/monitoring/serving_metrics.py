"""The endpoint's own numbers, kept: one row of `<use_case>/serving_metrics` per sampling moment,
read from its Prometheus metrics.

Counters run since the endpoint's start. A row holds what they grew by since the row before it
(`since`), so that rows add up; after a restart a counter that fell counts from nothing. Quantiles
are estimated within their bucket, as Prometheus' `histogram_quantile` does:

    q = lower + (upper - lower) * (wanted - below) / inside

with `wanted` = quantile times all observations, `below` those in lower buckets, `inside` those in
the bucket between `lower` and `upper`. `counters_json` holds the counters themselves, for whoever
wants other quantiles or longer spans.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from include.settings import Settings
from include.spec import UseCase
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore
from include.tls import trusted

REQUEST_SECONDS = 10.0
STAGES = ("total", "lookup", "score", "log")
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
MILLISECONDS = 1000.0
SERVER_ERROR = "5"
COMPARED = 12
"""How many intervals before tell what is usual."""

SCHEMA: dict[str, Any] = {
    "moment": TIMESTAMP,
    "sampled_at": TIMESTAMP,
    "since": TIMESTAMP,
    "reachable": pl.Boolean,
    "problem": pl.String,
    "model_version": pl.Int64,
    "rows": pl.Float64,
    "rows_per_second": pl.Float64,
    "rows_by_version_json": pl.String,
    "requests": pl.Float64,
    "refusals_json": pl.String,
    "client_errors": pl.Float64,
    "server_errors": pl.Float64,
    "error_share": pl.Float64,
    "fallbacks": pl.Float64,
    "unknown": pl.Float64,
    "stale": pl.Float64,
    "unseen": pl.Float64,
    "flags_json": pl.String,
    "batch_rows_mean": pl.Float64,
    **{f"{stage}_{name}_ms": pl.Float64 for stage in STAGES for name in QUANTILES},
    "log_backlog_rows": pl.Float64,
    "log_dropped_rows": pl.Float64,
    "cpu_seconds": pl.Float64,
    "cpu_share": pl.Float64,
    "memory_bytes": pl.Float64,
    "counters_json": pl.String,
}

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Samples by name and sorted labels."""


def metrics_table(use_case: UseCase) -> str:
    """Name of the table."""
    return f"{use_case.name}/serving_metrics"


def sample(settings: Settings, use_case: UseCase, moment: datetime) -> dict[str, Any]:
    """Read the endpoint's metrics and keep them as the row of `moment`; the row that is there
    already stays, also that of another copy which has read them at the same time.

    Returns `{"moment", "recorded": whether the row is new, "reachable", "rows", "error_share"}`. An
    endpoint that does not answer leaves a row that says so.
    """
    tables = TableStore(settings.tables_uri)
    ledger = Ledger(tables, metrics_table(use_case), SCHEMA, key=("moment",))
    before, of_moment = ledger.read(), pl.col("moment") == pl.lit(moment, dtype=TIMESTAMP)
    there = before.filter(of_moment)
    if there.height:
        return _told(there.row(0, named=True), recorded=False)
    sampled_at = datetime.now(UTC)
    row: dict[str, Any] = {"moment": moment, "sampled_at": sampled_at}
    try:
        series = parse(_fetch(settings))
    except OSError as error:
        row.update(reachable=False, problem=f"{type(error).__name__}: {error}")
    else:
        row.update(reachable=True, **measure(series, use_case.name, _previous(before), sampled_at))
    frame = pl.DataFrame([{column: row.get(column) for column in SCHEMA}], schema=SCHEMA)
    ledger.add(frame)
    stored = ledger.read(where=of_moment).row(0, named=True)
    return _told(stored, recorded=stored["sampled_at"] == sampled_at)


def samples_until(
    use_case: UseCase, tables: TableStore, moment: datetime
) -> tuple[dict[str, Any] | None, tuple[float, ...]]:
    """The row of a moment, and the rows a second of those before it, the newest last."""
    if not tables.exists(metrics_table(use_case)):
        return None, ()
    where = pl.col("moment") <= pl.lit(moment, dtype=TIMESTAMP)
    rows = tables.read(metrics_table(use_case), where=where).sort("moment")
    of_moment = rows.filter(pl.col("moment") == pl.lit(moment, dtype=TIMESTAMP))
    before = rows.filter(pl.col("moment") < pl.lit(moment, dtype=TIMESTAMP))
    rates = before["rows_per_second"].drop_nulls().tail(COMPARED)
    return (of_moment.row(-1, named=True) if of_moment.height else None), tuple(rates)


def sampled_rows(
    use_case: UseCase, tables: TableStore, moment: datetime | None = None
) -> list[dict[str, Any]]:
    """The rows of the table up to a moment, or all, the newest last."""
    if not tables.exists(metrics_table(use_case)):
        return []
    where = None if moment is None else pl.col("moment") <= pl.lit(moment, dtype=TIMESTAMP)
    return tables.read(metrics_table(use_case), where=where).sort("moment").to_dicts()


def parse(text: str) -> Series:
    """Samples of a page of Prometheus metrics."""
    from prometheus_client.parser import text_string_to_metric_families

    series: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series[sample.name, tuple(sorted(sample.labels.items()))] = float(sample.value)
    return series


def measure(
    series: Series, use_case: str, previous: Mapping[str, Any] | None, sampled_at: datetime
) -> dict[str, Any]:
    """The row's values but for its moments: what grew since `previous` (a row of the table, or
    None), and what is now.
    """
    selected = {
        key: value
        for key, value in series.items()
        if dict(key[1]).get("use_case", use_case) == use_case
    }
    counters = {_text(key): value for key, value in selected.items() if _is_counter(key[0])}
    grown = _grown(counters, json.loads(previous["counters_json"]) if previous else {})
    seconds = (sampled_at - previous["sampled_at"]).total_seconds() if previous else None
    versions = _by_label(grown, "flightdeck_predictions_total", "version")
    refusals = _by_label(grown, "flightdeck_refusals_total", "status", "code")
    flags = _by_label(grown, "flightdeck_flags_total", "flag")
    kinds = {
        kind: sum(rows for flag, rows in flags.items() if flag.startswith(f"{kind}:"))
        for kind in ("unknown", "stale", "unseen")
    }
    rows, refused = sum(versions.values()), sum(refusals.values())
    answered = _sum(grown, "flightdeck_stage_seconds_count", stage="total")
    failed = sum(count for status, count in refusals.items() if status.startswith(SERVER_ERROR))
    batches = _sum(grown, "flightdeck_batch_rows_count")
    processor = _sum(grown, "flightdeck_cpu_seconds_total")
    return {
        "since": previous["sampled_at"] if previous else None,
        "model_version": int(_sum(selected, "flightdeck_model_version")),
        "rows": rows,
        "rows_per_second": rows / seconds if seconds else None,
        "rows_by_version_json": json.dumps(versions, sort_keys=True),
        "requests": answered + refused,
        "refusals_json": json.dumps(refusals, sort_keys=True),
        "client_errors": refused - failed,
        "server_errors": failed,
        "error_share": refused / (answered + refused) if answered + refused else None,
        "fallbacks": kinds["unknown"] + kinds["stale"],
        **kinds,
        "flags_json": json.dumps(flags, sort_keys=True),
        "batch_rows_mean": _sum(grown, "flightdeck_batch_rows_sum") / batches if batches else None,
        **_latencies(grown),
        "log_backlog_rows": _sum(selected, "flightdeck_log_backlog_rows"),
        "log_dropped_rows": _sum(selected, "flightdeck_log_dropped_rows"),
        "cpu_seconds": processor,
        "cpu_share": processor / seconds if seconds else None,
        "memory_bytes": _sum(selected, "flightdeck_memory_bytes"),
        "counters_json": json.dumps(counters, sort_keys=True),
    }


def quantile(buckets: Iterable[tuple[float, float]], share: float) -> float | None:
    """A quantile (module docstring) of cumulative `(upper bound, count)` pairs; None without
    observations.

    Above the last finite bound it is that bound: nothing more is known.
    """
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] <= 0.0:
        return None
    target = share * ordered[-1][1]
    lower, below = 0.0, 0.0
    for upper, count in ordered:
        if count >= target and count > below:
            return (
                lower
                if math.isinf(upper)
                else lower + (upper - lower) * (target - below) / (count - below)
            )
        lower, below = upper, count
    return lower


def _fetch(settings: Settings) -> str:
    import httpx

    try:
        answer = httpx.get(
            f"{settings.serving_url}/metrics",
            timeout=REQUEST_SECONDS,
            headers=settings.endpoint_headers,
            trust_env=False,
            verify=trusted(),
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise OSError(f"{settings.serving_url}/metrics: {error}") from error
    return answer.text


def _previous(rows: pl.DataFrame) -> dict[str, Any] | None:
    """The newest row of an endpoint that answered, by the clock."""
    answered = rows.filter(pl.col("reachable")).sort("sampled_at")
    return answered.row(-1, named=True) if answered.height else None


def _is_counter(name: str) -> bool:
    return name.startswith("flightdeck_") and name.endswith(("_total", "_bucket", "_count", "_sum"))


def _text(key: tuple[str, tuple[tuple[str, str], ...]]) -> str:
    return json.dumps([key[0], dict(key[1])], sort_keys=True)


def _grown(now: Mapping[str, float], before: Mapping[str, float]) -> Series:
    """By how much each counter grew; one that fell has started anew."""
    grown: Series = {}
    for text, value in now.items():
        name, labels = json.loads(text)
        past = float(before.get(text, 0.0))
        grown[name, tuple(sorted(labels.items()))] = value - past if value >= past else value
    return grown


def _by_label(series: Series, name: str, *labels: str) -> dict[str, float]:
    """Sums by the values of some labels, joined by a space; nothing that is 0."""
    sums: dict[str, float] = {}
    for (metric, pairs), value in series.items():
        if metric == name and value:
            key = " ".join(dict(pairs).get(label, "") for label in labels)
            sums[key] = sums.get(key, 0.0) + value
    return sums


def _sum(series: Series, name: str, **labels: str) -> float:
    return sum(
        value
        for (metric, pairs), value in series.items()
        if metric == name and labels.items() <= dict(pairs).items()
    )


def _latencies(grown: Series) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for stage in STAGES:
        sums: dict[float, float] = {}
        for (name, pairs), value in grown.items():
            labels = dict(pairs)
            if name == "flightdeck_stage_seconds_bucket" and labels.get("stage") == stage:
                bound = float(labels["le"])
                sums[bound] = sums.get(bound, 0.0) + value
        for name, share in QUANTILES.items():
            latency = quantile(sums.items(), share)
            values[f"{stage}_{name}_ms"] = None if latency is None else latency * MILLISECONDS
    return values


def _told(row: Mapping[str, Any], *, recorded: bool) -> dict[str, Any]:
    facts = {name: row.get(name) for name in ("reachable", "rows", "error_share")}
    return {"moment": row["moment"].isoformat(), "recorded": recorded, **facts}
