"""Crons and time zones that exist, and the moments that a cron names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from include.spec.base import suggestion

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
    from croniter import croniter  # type: ignore[import-untyped]

    if not croniter.is_valid(_plain(cron)) or len(_plain(cron).split()) > len("mhdMw"):
        near = suggestion(cron, PRESETS).partition(" valid:")[0] if cron.startswith("@") else ";"
        raise ValueError(
            f"{field} is {cron!r}{near} valid are five fields (minute, hour, day of the month,"
            f" month, day of the week) such as '0 6 * * 1', or one of {list(PRESETS)}"
        )


def ticks_around(cron: str, moment: datetime) -> tuple[datetime, datetime]:
    """The cron's last tick at or before the moment, and its first at or after it, in UTC."""
    from croniter import croniter

    at = moment.astimezone(UTC)
    before: datetime = croniter(_plain(cron), at + timedelta(seconds=1)).get_prev(datetime)
    after: datetime = croniter(_plain(cron), at - timedelta(seconds=1)).get_next(datetime)
    return before, after


def _plain(cron: str) -> str:
    return QUARTERLY.get(cron, cron)
