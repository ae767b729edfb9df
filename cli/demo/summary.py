"""The table at the end of a replay, and the same facts for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.demo.state import write_json
from cli.tables import print_table
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
SHOWN = {
    "month": "month",
    "scored": "flights_scored",
    "served": "requests_served",
    "failed": "requests_failed",
    "auc": "auc",
    "alarm": "alarm",
    "decision": "decision",
    "serves": "champion_version",
}
"""Heading and column of what is printed; the file holds every column."""
RELEASED = {name: name for name in ("version", "arm", "share", "rows", "verdict")}


def write_summary(
    path: Path,
    rows: list[dict[str, Any]],
    releases: list[dict[str, Any]],
    seconds: float,
    urls: dict[str, str],
) -> None:
    """Write `{"months": [...], "releases": [...], "seconds": float, "urls": {...}}`."""
    months = [{column: row[column] for column in COLUMNS} for row in rows]
    content = {"months": months, "releases": releases, "seconds": round(seconds, 1), "urls": urls}
    write_json(path, content)


def print_summary(
    console: Console,
    rows: list[dict[str, Any]],
    releases: list[dict[str, Any]],
    seconds: float,
    urls: dict[str, str],
    curl: str,
) -> None:
    """Print the months and the releases, in columns that fit 80 characters, and the addresses."""
    console.print()
    print_table(
        "What happened, month by month",
        list(SHOWN),
        [[_cell(row[column]) for column in SHOWN.values()] for row in rows],
    )
    print_table(
        "What was released, stage by stage",
        list(RELEASED),
        [[_released(row, column) for column in RELEASED.values()] for row in releases],
    )
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


def _released(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if column == "share" and value is not None:
        return f"{100 * value:g} %"
    return _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
