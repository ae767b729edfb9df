"""Readings of pumps that were made up: from February on what foretold a fault foretells none, and
two of the readings have moved.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

PUMPS, READINGS_A_DAY = 20, 10
FIRST, LAST = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 4, 1, tzinfo=UTC)
CHANGED = datetime(2023, 2, 1, tzinfo=UTC)
MOVED = 0.65
"""By how many of its standard deviations: a major shift, and no fault of the source."""


def rows() -> pl.DataFrame:
    """Ten readings a day of each pump, 200 rows a day."""
    random = np.random.default_rng(7)
    days = (LAST - FIRST).days
    count = days * PUMPS * READINGS_A_DAY
    number = np.arange(count)
    pump = number % PUMPS
    minutes = (number // PUMPS) * (24 * 60 // READINGS_A_DAY) + pump
    changed = number >= (CHANGED - FIRST).days * PUMPS * READINGS_A_DAY
    vibration, pressure, flow, spread = random.normal(size=(4, count))
    usual = random.normal(size=PUMPS)[pump]
    pressure, flow = pressure + MOVED * changed, flow + MOVED * changed
    fault = 2.4 * (np.abs(vibration) - 0.8) + 1.2 * pressure * np.sign(flow) + 0.9 * usual
    chance = 1.0 / (1.0 + np.exp(np.where(changed, fault, -fault)))
    return pl.DataFrame(
        {
            "reading_id": number,
            "asked_at": [FIRST + timedelta(minutes=int(minute)) for minute in minutes],
            "pump": [f"pump {one:02}" for one in pump],
            "vibration": vibration,
            "pressure": pressure,
            "flow": flow,
            "load": usual + 0.5 * spread,
            "fault": (random.random(count) < chance).astype(int),
        }
    )
