"""The endpoint's own metrics. Under BentoML they land in its multi-process directory and appear in
the one `/metrics`.

Import only inside the serving process: prometheus_client decides at import where it keeps its
numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from threading import Lock

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
    "The version that serves, loaded or not; 0 for none.",
    ["use_case"],
    multiprocess_mode="livemax",
)
PLAN = Gauge(
    "flightdeck_plan",
    "The sequence of the traffic plan in force, of the process that is furthest behind.",
    ["use_case"],
    multiprocess_mode="livemin",
)
LOAD_FAILURES = Counter(
    "flightdeck_model_load_failures",
    "Plans that could not be followed, the one before stayed; models that could not be loaded.",
    ["use_case"],
)
LOADED = Gauge(
    "flightdeck_model_loaded",
    "The processes that have the use case's model loaded; one that has not loads it when asked.",
    ["use_case"],
    multiprocess_mode="livesum",
)
LOAD_SECONDS = Histogram(
    "flightdeck_model_load_seconds",
    "Time to load a model that was asked for and was not loaded; its count are the loads.",
    ["use_case"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0),
)
UNLOADED = Counter(
    "flightdeck_model_unloads",
    "Models that were let go because others were asked later.",
    ["use_case"],
)
ENGINE = Gauge(
    "flightdeck_engine",
    "1 for the engine that scores online.",
    ["use_case", "engine"],
    multiprocess_mode="livemax",
)


@cache
def stage(use_case: str, name: str) -> Histogram:
    """Return the histogram of one stage of one use case; finding it by its labels costs as much as
    counting.
    """
    return STAGE_SECONDS.labels(use_case, name)


ARM_SECONDS = Histogram(
    "flightdeck_arm_seconds",
    "Time from a request's arrival until its rows are logged, by the arm that they fell on; its"
    " count are the requests.",
    ["use_case", "arm", "version"],
    buckets=_BUCKETS,
)
ARM_ERRORS = Counter(
    "flightdeck_arm_errors",
    "Requests that an arm could not answer, for a reason that lay in no request.",
    ["use_case", "arm", "version"],
)
ARM_FALLBACKS = Counter(
    "flightdeck_arm_fallbacks",
    "Rows that an arm failed to score and the champion answered.",
    ["use_case", "arm", "version"],
)


SHADOW_ROWS = Counter(
    "flightdeck_shadow_rows", "Rows that the shadow was sent.", ["use_case", "version"]
)
SHADOW_DROPPED = Counter(
    "flightdeck_shadow_dropped_rows",
    "Rows that the shadow was not sent, because it was too slow or dead.",
    ["use_case", "version"],
)


class Tally:
    """Times of one arm that are not in its histogram yet.

    Observing each would cost a request as much as its checks; here it is one count, and all of a
    second are added at once.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._lock = Lock()
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, times: Sequence[float]) -> None:
        """Count times, in seconds."""
        with self._lock:
            counts = self._counts
            for seconds in times:
                counts[bisect_left(_BUCKETS, seconds)] += 1
            self._sum += sum(times)

    def flush(self) -> None:
        """Add what was counted to the histogram."""
        with self._lock:
            counts, self._counts = self._counts, [0] * (len(_BUCKETS) + 1)
            seconds, self._sum = self._sum, 0.0
        if not any(counts):
            return
        # The library has no way to observe many at once; these are what its `observe` adds to.
        self._histogram._sum.inc(seconds)
        for bucket, more in zip(self._histogram._buckets, counts, strict=True):
            if more:
                bucket.inc(more)


@cache
def arm_seconds(use_case: str, arm: str, version: int) -> Tally:
    """Return the times of one arm of one use case; `flush_tallies` shows them."""
    tally = Tally(ARM_SECONDS.labels(use_case, arm, str(version)))
    _TALLIES.append(tally)
    return tally


_TALLIES: list[Tally] = []


def flush_tallies() -> None:
    """Add the times of all arms to their histograms."""
    for tally in _TALLIES:
        tally.flush()


def count_rows(use_case: str, versions: list[int]) -> None:
    """Count one commit: the version that answered each of its rows."""
    _batch_rows(use_case).observe(len(versions))
    for version in set(versions):
        _predictions(use_case, version).inc(versions.count(version))


@cache
def _batch_rows(use_case: str) -> Histogram:
    return BATCH_ROWS.labels(use_case)


@cache
def _predictions(use_case: str, version: int) -> Counter:
    return PREDICTIONS.labels(use_case, str(version))
