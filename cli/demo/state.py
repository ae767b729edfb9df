"""What a replay has done so far, on disk after every step, so that a killed demo goes on where it
stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from include.files import write


@dataclass
class MonthState:
    """Progress of one month: how many days of traffic were sent, and what the endpoint answered."""

    days_sent: int = 0
    requests_served: int = 0
    requests_failed: int = 0
    result: dict[str, Any] | None = None


@dataclass
class ReleaseState:
    """A deployment whose end the replay saw, and what callers got meanwhile."""

    requests_served: int = 0
    requests_failed: int = 0


@dataclass
class DemoState:
    """Progress of the whole replay, by month (`2013-04`), and its deployments by run id. `seconds`
    adds up over restarts.
    """

    seconds: float = 0.0
    months: dict[str, MonthState] = field(default_factory=dict)
    releases: dict[str, ReleaseState] = field(default_factory=dict)

    def month(self, name: str) -> MonthState:
        """The state of that month, made on first use."""
        return self.months.setdefault(name, MonthState())

    @classmethod
    def load(cls, path: Path) -> DemoState:
        """Read the state, or start anew where there is none."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text())
        months = {name: MonthState(**month) for name, month in stored["months"].items()}
        releases = {
            run: ReleaseState(**release) for run, release in stored.get("releases", {}).items()
        }
        return cls(seconds=stored["seconds"], months=months, releases=releases)

    def save(self, path: Path) -> None:
        """Save the state; a kill leaves the old one or the new one."""
        write_json(path, asdict(self))


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically and durably."""
    write(path, json.dumps(content, indent=2), durable=True)
