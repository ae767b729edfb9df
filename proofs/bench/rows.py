"""The table that a bench prints and the file that it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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


def table(rows: Sequence[Row]) -> str:
    """The rows with aligned columns."""
    cells = [("measurement", "ratio", "aim", "", "detail")]
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        reached = {None: "", True: "reached", False: "MISSED"}[row.reached]
        cells.append(
            (row.name, ratio, "-" if row.aim is None else f"{row.aim:g}", reached, row.detail)
        )
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:<{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in cells
    ]
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as JSON; readers see the old file or the new one."""
    files.write(path, json.dumps([row.as_json() for row in rows], indent=2) + "\n")
