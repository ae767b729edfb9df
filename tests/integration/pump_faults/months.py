"""What the use case is called, and its three months."""

from __future__ import annotations

from datetime import UTC, datetime

from include.interval import Interval

NAME = "pump_faults"
JANUARY, FEBRUARY, MARCH = (
    Interval(datetime(2023, month, 1, tzinfo=UTC), datetime(2023, month + 1, 1, tzinfo=UTC))
    for month in (1, 2, 3)
)
