"""The refusal table for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.tables import print_table
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


def show(rows: Sequence[Row]) -> None:
    """Print the table; what does not hold is marked in words."""
    print_table(
        "Refusals",
        ("case", "seen", "gate", "seconds", "reason"),
        (
            (
                row.case,
                row.seen if row.holds else f"{row.seen}, NOT AS EXPECTED",
                row.gate,
                f"{row.seconds:.1f}",
                row.reason,
            )
            for row in rows
        ),
        prose=("gate", "reason"),
    )
