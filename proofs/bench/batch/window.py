"""The rows that the batch bench scores, and how many of them at a time."""

from __future__ import annotations

from datetime import UTC, datetime

from include.interval import Interval

TABLES = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC))
SCORED = Interval(datetime(2013, 4, 1, tzinfo=UTC), TABLES.end)
CHUNK_ROWS = 100_000
