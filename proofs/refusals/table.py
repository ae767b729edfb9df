"""The refusal table for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from include import files


@dataclass(frozen=True)
class Row:
    """One line:

    `expected` and `seen` are `refused` or `passed` (`seen` also `broken`), `gate` is `<task>:
    <rule>`.
    """

    case: str
    expected: str
    seen: str
    gate: str
    reason: str
    seconds: float
    holds: bool


def write(rows: Sequence[Row], path: Path) -> None:
    """The rows as JSON; the file appears whole or not at all."""
    content = [
        {name: value for name, value in asdict(row).items() if name != "holds"} for row in rows
    ]
    files.write(path, json.dumps(content, indent=2) + "\n")


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table; what does not hold is marked in words, not by colour alone."""
    table = Table("case", "seen", "gate that refused", "reason", "seconds", show_lines=False)
    table.columns[-1].justify = "right"
    for row in rows:
        seen = row.seen if row.holds else f"{row.seen}, NOT AS EXPECTED"
        table.add_row(
            row.case,
            seen,
            row.gate,
            row.reason,
            f"{row.seconds:.1f}",
            style=None if row.holds else "bold red",
        )
    console.print(table)
