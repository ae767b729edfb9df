"""When the DAGs on a cron run: once per data interval, and never after the data's end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime, instance


class DataIntervalTimetable(CronDataIntervalTimetable):
    """A cron whose last interval starts at or before `end`.

    The end stands here and not in the DAG, whose `end_date` would let a run that a person starts
    after it end green without a single task.

    :param cron: the cron expression, read in UTC.
    :param end: the last moment with data, or None where data keeps coming.
    """

    def __init__(self, cron: str, end: datetime | None = None) -> None:
        super().__init__(cron, timezone="UTC")
        self._end: DateTime | None = None if end is None else instance(end)

    def __eq__(self, other: object) -> bool:
        """Whether it is one of this class with the same cron and end."""
        if not isinstance(other, DataIntervalTimetable):
            return NotImplemented
        return self.serialize() == other.serialize()

    def __hash__(self) -> int:
        """Equal ones have the same."""
        return hash((self._expression, self._end))

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """The next run; None after the end."""
        bounds = [moment for moment in (restriction.latest, self._end) if moment is not None]
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval,
            restriction=restriction._replace(latest=min(bounds, default=None)),
        )

    def serialize(self) -> dict[str, Any]:
        """Cron and end, as JSON."""
        return {
            "cron": self._expression,
            "end": None if self._end is None else self._end.isoformat(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> DataIntervalTimetable:
        """Back from JSON."""
        end = data["end"]
        return cls(data["cron"], None if end is None else datetime.fromisoformat(end))
