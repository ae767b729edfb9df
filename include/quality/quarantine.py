"""Where refused rows go: `quarantine/<table>/<interval>`, the whole batch with the reasons beside
every row.

The landing table of the interval is written again by the next attempt; what was refused stays here,
with the reasons of its last refusal.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from include.interval import Interval
from include.tables.landable import landable
from include.tables.store import TableStore

REASONS = "quarantine_reasons"


def quarantine_name(table: str, interval: Interval) -> str:
    """`raw/flights` -> `quarantine/flights/<interval>`."""
    return f"quarantine/{table.removeprefix('raw/')}/{interval.label}"


def put_aside(
    tables: TableStore, table: str, frame: pl.DataFrame, interval: Interval, reasons: list[str]
) -> dict[str, Any]:
    """Write the refused rows with `reasons` (JSON) beside each; returns the table's version.

    The same again writes nothing.
    """
    marked = landable(frame).with_columns(pl.lit(json.dumps(reasons)).alias(REASONS))
    return tables.replace_unread(quarantine_name(table, interval), marked).as_json()
