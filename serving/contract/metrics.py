"""The endpoint's own metrics. Under BentoML they land in its multi-process directory and appear in
the one `/metrics`.

Import only inside the serving process: prometheus_client decides at import where it keeps its
numbers.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (
    0.0002,
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)

STAGE_SECONDS = Histogram(
    "flightdeck_stage_seconds",
    "Time per stage: a batch's look-up, score, log; a request's total.",
    ["use_case", "stage"],
    buckets=_BUCKETS,
)
PREDICTIONS = Counter(
    "flightdeck_predictions", "Answered and logged rows.", ["use_case", "version"]
)
FLAGS = Counter(
    "flightdeck_flags",
    "Rows per flag, e.g. unknown:plane, stale:weather_hourly, newer:plane, unseen:dest.",
    ["use_case", "flag"],
)
REFUSALS = Counter("flightdeck_refusals", "Requests answered with an error.", ["status", "code"])
BATCH_ROWS = Histogram(
    "flightdeck_batch_rows",
    "Rows scored and committed together.",
    ["use_case"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 512),
)
LOG_BACKLOG = Gauge(
    "flightdeck_log_backlog_rows",
    "Logged rows not yet in the Delta table.",
    ["use_case"],
    multiprocess_mode="livemax",
)
LOG_DROPPED = Gauge(
    "flightdeck_log_dropped_rows",
    "Rows answered and kept out of the log by a full disk, since ever.",
    ["use_case"],
    multiprocess_mode="livemax",
)
LOG_DAMAGED = Gauge(
    "flightdeck_log_damaged_rows",
    "Logged rows that damage to a file has taken before they were shipped, since ever.",
    ["use_case"],
    multiprocess_mode="livemax",
)
VERSION = Gauge(
    "flightdeck_model_version",
    "The version that serves; 0 for none.",
    ["use_case"],
    multiprocess_mode="livemax",
)
LOAD_FAILURES = Counter(
    "flightdeck_model_load_failures",
    "Versions that could not be loaded; the old one stayed.",
    ["use_case"],
)
ENGINE = Gauge(
    "flightdeck_engine",
    "1 for the engine that scores online.",
    ["use_case", "engine"],
    multiprocess_mode="livemax",
)


@lru_cache(maxsize=256)
def stage(use_case: str, name: str) -> Histogram:
    """Return the histogram of one stage of one use case; finding it by its labels costs as much as
    counting.
    """
    return STAGE_SECONDS.labels(use_case, name)


def count_rows(use_case: str, versions: list[int]) -> None:
    """Count one commit: the version that answered each of its rows."""
    _batch_rows(use_case).observe(len(versions))
    if len(versions) and versions.count(versions[0]) == len(versions):
        _predictions(use_case, versions[0]).inc(len(versions))
        return
    for version in versions:
        _predictions(use_case, version).inc()


@lru_cache(maxsize=256)
def _batch_rows(use_case: str) -> Histogram:
    return BATCH_ROWS.labels(use_case)


@lru_cache(maxsize=256)
def _predictions(use_case: str, version: int) -> Counter:
    return PREDICTIONS.labels(use_case, str(version))
