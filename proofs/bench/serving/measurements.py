"""What the bench has measured of one server."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class ServerFigures:
    """All measurements of one server, by kind of load, or why there are none."""

    loads: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    missing: str = ""

    def median(self, kind: str, what: str) -> float:
        """The median of one number over the rounds."""
        return float(statistics.median(load[what] for load in self.loads[kind]))

    def speed(self, kind: str) -> float:
        """Answers a second."""
        return self.median(kind, "per_second")

    def summary(self, kind: str) -> str:
        """Answers a second and the tail of the latency, in words."""
        return f"{self.speed(kind):.0f} a second, p99 {self.median(kind, 'p99'):.1f} ms"


Figures = Mapping[str, ServerFigures]


def speed_ratio(first: ServerFigures, other: ServerFigures, kind: str) -> float:
    """How many times as fast the first is."""
    return first.speed(kind) / other.speed(kind)
