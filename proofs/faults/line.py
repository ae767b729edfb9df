"""One line of a fault table, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.tables import print_table
from include import files

HEADINGS = ("fault", "expected", "seen", "detail")


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


def show(lines: Sequence[Line]) -> None:
    """Print the table; what does not hold is marked in words."""
    print_table(
        "Faults",
        HEADINGS,
        (
            (
                line.fault,
                line.expected,
                line.seen if line.holds else f"NOT AS EXPECTED: {line.seen}",
                line.detail,
            )
            for line in lines
        ),
        prose=HEADINGS,
    )
