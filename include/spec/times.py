"""When the processes run; crons and time zones that exist, and the moments that a cron names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, ValidationInfo, model_validator

from include.interval import Interval
from include.spec.base import Part, is_recorded, suggestion

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
QUARTERLY = {"@quarterly": "0 0 1 */3 *"}
"""Presets of Airflow that croniter lacks."""
FOLDERS = ("posix/", "right/")


def check_timezone(field: str, name: str) -> None:
    """Raise `ValueError` unless it is a time zone of the IANA database."""
    try:
        ZoneInfo(name)
        known = not name.startswith(FOLDERS)
    except (KeyError, OSError, ValueError):
        known = False
    if not known:
        names = available_timezones()
        near = suggestion(name, names).partition(" valid:")[0]
        raise ValueError(
            f"{field} is {name!r}{near} valid are the {len(names)} names of the IANA database, such"
            " as 'UTC' or 'America/New_York'"
        )


def check_cron(field: str, cron: str) -> None:
    """Raise `ValueError` unless Airflow can read it."""
    if not _is_cron(_plain(cron)):
        near = suggestion(cron, PRESETS).partition(" valid:")[0] if cron.startswith("@") else ";"
        raise ValueError(
            f"{field} is {cron!r}{near} valid are five fields (minute, hour, day of the month,"
            f" month, day of the week) such as '0 6 * * 1', or one of {list(PRESETS)}"
        )


@lru_cache(maxsize=256)
def _is_cron(cron: str) -> bool:
    from croniter import croniter  # type: ignore[import-untyped]

    return bool(croniter.is_valid(cron)) and len(cron.split()) <= len("mhdMw")


@lru_cache(maxsize=256)
def ticks_around(cron: str, moment: datetime) -> tuple[datetime, datetime]:
    """The cron's last tick at or before the moment, and its first at or after it, in UTC."""
    from croniter import croniter

    at = moment.astimezone(UTC)
    before: datetime = croniter(_plain(cron), at + timedelta(seconds=1)).get_prev(datetime)
    after: datetime = croniter(_plain(cron), at - timedelta(seconds=1)).get_next(datetime)
    return before, after


def intervals_between(cron: str, start: datetime, end: datetime) -> list[Interval]:
    """The intervals between the cron's ticks that lie in `[start, end)` as a whole, oldest first:
    those of the DAG that runs on it.
    """
    from croniter import croniter

    tick, intervals = ticks_around(cron, start)[1], []
    ticks = croniter(_plain(cron), tick)
    while (following := ticks.get_next(datetime)) <= end:
        intervals.append(Interval(tick, following))
        tick = following
    return intervals


def _plain(cron: str) -> str:
    return QUARTERLY.get(cron, cron)


class Schedule(Part):
    """When the processes run; no run is scheduled outside the data that exists."""

    start: datetime = Field(description="First moment with data (with its time zone).")
    end: datetime | None = Field(
        default=None, description="Last moment with data. None by default: data keeps coming."
    )
    features_cron: str = Field(
        default="@daily",
        description="Cron string of ingestion and features. Daily by default.",
    )
    batch_scoring_cron: str = Field(
        default="@daily", description="Cron string of batch scoring. Daily by default."
    )
    monitoring_cron: str = Field(
        default="@daily", description="Cron string of monitoring. Daily by default."
    )
    training_cron: str | None = Field(
        default=None,
        description="Cron string of training. None by default: on alarm, on new data and by hand"
        " only.",
    )

    @model_validator(mode="after")
    def _timezone_aware(self) -> Schedule:
        for name, value in (("start", self.start), ("end", self.end)):
            if value is not None and value.tzinfo is None:
                raise ValueError(
                    f"{name} is {value}, without a time zone; write datetime(..., tzinfo=UTC)"
                )
        return self

    @model_validator(mode="after")
    def _can_run(self, info: ValidationInfo) -> Schedule:
        if is_recorded(info):
            return self
        crons = ("features_cron", "batch_scoring_cron", "monitoring_cron", "training_cron")
        for name in crons:
            cron = getattr(self, name)
            if cron is not None:
                check_cron(name, cron)
        if self.end is not None and self.end <= self.start:
            raise ValueError(
                f"end is {self.end.isoformat()}, not after start {self.start.isoformat()}; no run"
                " would ever be scheduled"
            )
        before, after = ticks_around(self.features_cron, self.start)
        if before != after:
            raise ValueError(
                f"start is {self.start.isoformat()}, no tick of features_cron"
                f" {self.features_cron!r}: data before {after.isoformat()} would never be ingested;"
                f" write {before.isoformat()} or {after.isoformat()}"
            )
        return self
