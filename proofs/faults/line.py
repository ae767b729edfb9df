"""One line of a fault table, for people and for programs."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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


def run_drills(name: str, drills: Callable[[Path], list[Line]], table: Path, *, keep: bool) -> int:
    """Run the drills in a folder of their own, show and write their lines; the exit code, 1 when a
    fault was not borne.

    :param keep: leave the folder, with the endpoint's home and log.
    """
    # So that servers and their folder are cleared away then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"flightdeck-{name}-"))
    try:
        lines = drills(folder)
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    show(lines)
    write(lines, table)
    wrong = [line for line in lines if not line.holds]
    print(
        f"{len(lines) - len(wrong)} of {len(lines)} as expected, {time.monotonic() - started:.0f}"
        f" s; {table}"
    )
    return 1 if wrong or not lines else 0
