"""The table at the end of a replay, and the same facts for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.demo.state import write_json
from include.settings import Settings

COLUMNS = (
    "month",
    "flights_scored",
    "requests_served",
    "requests_failed",
    "auc",
    "brier",
    "drift",
    "alarm",
    "decision",
    "champion_version",
)


def write_summary(
    path: Path, rows: list[dict[str, Any]], seconds: float, urls: dict[str, str]
) -> None:
    """Write `{"months": [...], "seconds": float, "urls": {...}}`."""
    months = [{column: row[column] for column in COLUMNS} for row in rows]
    write_json(path, {"months": months, "seconds": round(seconds, 1), "urls": urls})


def print_summary(
    console: Console, rows: list[dict[str, Any]], seconds: float, urls: dict[str, str], curl: str
) -> None:
    """Print the months and the addresses."""
    table = Table(title="What happened, month by month")
    for column in COLUMNS:
        words = column in ("month", "drift", "alarm", "decision")
        table.add_column(
            column.replace("_", " "),
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=column == "month",
        )
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in COLUMNS))
    console.print(table)
    console.print(f"{seconds / 60:.1f} minutes of replay. The platform stays up until `make down`.")
    for name, url in urls.items():
        console.print(f"  {name:<10} {url}", soft_wrap=True)
    console.print("Ask the endpoint yourself:")
    console.print(f"  {curl}", soft_wrap=True, highlight=False, markup=False)


def curl_line(settings: Settings, use_case: str, row: dict[str, Any]) -> str:
    """A `curl` call that works as printed."""
    body = json.dumps({"rows": [row]})
    return (
        f"curl -s {settings.serving_url}/v1/models/{use_case}/predict -H 'Content-Type:"
        f" application/json' -d '{body}'"
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
