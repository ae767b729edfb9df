"""A window of time, half open, in UTC: what a run of a process works on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Interval:
    """A window of time `[start, end)`, both time-zone aware and in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"an interval needs time zones: {self.start} to {self.end}")
        if self.end <= self.start:
            raise ValueError(f"an interval must end after it starts: {self.start} to {self.end}")

    @classmethod
    def parse(cls, start: str, end: str) -> Interval:
        """From two ISO 8601 strings with time zones."""
        return cls(
            datetime.fromisoformat(start).astimezone(UTC),
            datetime.fromisoformat(end).astimezone(UTC),
        )

    @property
    def label(self) -> str:
        """`2013-04-01T00-00_2013-05-01T00-00`: sortable and safe as a file name."""
        return f"{self.start:%Y-%m-%dT%H-%M}_{self.end:%Y-%m-%dT%H-%M}"

    @property
    def text(self) -> str:
        """`2013-04-01 00:00 to 2013-05-01 00:00 UTC`: for people."""
        start, end = self.start.astimezone(UTC), self.end.astimezone(UTC)
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"

    def as_json(self) -> dict[str, str]:
        """`{"start": ..., "end": ...}` in ISO 8601."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}
