"""The table that a bench prints and the file that it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.tables import print_table
from include import files


@dataclass(frozen=True)
class Row:
    """One ratio of one run.

    `reached` is None where nothing is aimed at, False where the measurement was stopped.
    """

    name: str
    ratio: float | None
    aim: float | None
    detail: str

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is at most the aim."""
        if self.aim is None:
            return None
        return self.ratio is not None and self.ratio <= self.aim

    def as_json(self) -> dict[str, Any]:
        """`{"name", "ratio", "aim", "reached", "detail"}`."""
        fields = asdict(self)
        return {
            **{name: fields[name] for name in ("name", "ratio", "aim")},
            "reached": self.reached,
            "detail": self.detail,
        }


HEADINGS = ("measurement", "ratio", "aim", "result", "detail")
RESULTS = {None: None, True: "reached", False: "MISSED"}


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the form of `Row.as_json`."""
    print_table(
        "Ratios within this run",
        HEADINGS,
        (
            (row["name"], _ratio(row), _aim(row), RESULTS[row["reached"]], row["detail"])
            for row in rows
        ),
        prose=("measurement", "detail"),
    )


def line(row: Row) -> str:
    """A row on one line, without its detail."""
    fields = row.as_json()
    result = RESULTS[row.reached]
    return f"{row.name}: {_ratio(fields)}" + (f" (aim {_aim(fields)}, {result})" if result else "")


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows as JSON; readers see the old file or the new one."""
    files.write(path, json.dumps(list(rows), indent=2) + "\n")


def _ratio(row: Mapping[str, Any]) -> str:
    return "-" if row["ratio"] is None else f"{row['ratio']:.2f}"


def _aim(row: Mapping[str, Any]) -> str:
    return "-" if row["aim"] is None else f"{row['aim']:g}"
