"""Live traffic of one month, replayed day by day against the real endpoint.

Each day has one hour in which callers ask (the hour moves through the day from day to day, so that
the month's sample covers it). Just before, the online store is brought up to that hour, as an
hourly job would; then every flight of that hour is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import polars as pl

from include.features.online.store import materialise
from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore, in_window
from include.tls import trusted

HOURS = (9, 12, 15, 18, 21, 11, 14, 17, 20)
CALLERS = 6


@dataclass(frozen=True)
class DayTraffic:
    """What one day's callers got: answers and failures (a failure is anything but a 200)."""

    served: int
    failed: int
    first_failure: str = ""


def asking_hours(interval: Interval) -> Iterator[datetime]:
    """One full hour per day of the interval (UTC), moving through the New York day."""
    day = interval.start
    while day < interval.end:
        yield day + timedelta(hours=HOURS[day.toordinal() % len(HOURS)])
        day += timedelta(days=1)


def replay_day(use_case: UseCase, settings: Settings, hour: datetime) -> DayTraffic:
    """Bring the online store up to `hour`, then send one request per flight asked for within the
    following hour.
    """
    materialise(use_case, settings, hour)
    rows = requests_of_hour(use_case, settings, hour)
    asking = httpx.Client(
        base_url=settings.serving_url,
        timeout=30.0,
        headers=settings.endpoint_headers,
        verify=trusted(),
    )
    with asking as client, ThreadPoolExecutor(CALLERS) as callers:
        failures = list(callers.map(lambda row: ask(client, use_case.name, row), rows))
    failed = [failure for failure in failures if failure]
    return DayTraffic(len(rows) - len(failed), len(failed), failed[0] if failed else "")


def requests_of_hour(use_case: UseCase, settings: Settings, hour: datetime) -> list[dict[str, Any]]:
    """The flights asked for in `[hour, hour + 1 h)` as rows of the endpoint's request."""
    return requests_of(use_case, settings, hour, hour + timedelta(hours=1))


def requests_of(
    use_case: UseCase, settings: Settings, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """The same of `[start, end)`."""
    fields = [use_case.id_column, use_case.event_time, *use_case.serving.entity_keys]
    fields += [field.name for field in use_case.serving.request_fields]
    window = in_window(use_case.event_time, start, end)
    frame = TableStore(settings.tables_uri).read(
        use_case.entity_table, columns=fields, where=window
    )
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%z")).to_dicts()


def ask(client: httpx.Client, use_case: str, row: dict[str, Any]) -> str:
    """Send one request; return an empty string for a prediction, otherwise what went wrong."""
    try:
        answer = client.post(f"/v1/models/{use_case}/predict", json={"rows": [row]})
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return (
        "" if answer.status_code == httpx.codes.OK else f"{answer.status_code}: {answer.text[:300]}"
    )
