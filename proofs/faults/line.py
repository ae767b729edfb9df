"""One line of a fault table, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from include import files


@dataclass(frozen=True)
class Line:
    """A fault, what must be seen and what was seen: the two texts are equal, or the fault was not
    borne.
    """

    fault: str
    expected: str
    seen: str
    detail: str

    @property
    def holds(self) -> bool:
        """Whether what was seen is what was expected."""
        return self.expected == self.seen


def write(lines: Sequence[Line], path: Path) -> None:
    """The lines as JSON; the file appears whole or not at all."""
    files.write(path, json.dumps([asdict(line) for line in lines], indent=2) + "\n")


def show(lines: Sequence[Line], console: Console) -> None:
    """Print the table; what does not hold is marked in words, not by colour alone."""
    table = Table("fault", "expected", "seen", "detail", show_lines=True)
    for line in lines:
        table.add_row(
            line.fault,
            line.expected,
            line.seen if line.holds else f"{line.seen}\nNOT AS EXPECTED",
            line.detail,
        )
    console.print(table)
