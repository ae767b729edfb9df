"""Which intervals `--from` and `--to` name: those of the process's own schedule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import typer

from include.interval import Interval
from include.spec import UseCase
from include.spec.times import intervals_between, ticks_around

MONTH = re.compile(r"^\d{4}-\d{2}$")
FORM = "%Y-%m-%dT%H:%M"
FROM, TO = "--from", "--to"


def moment_of(text: str, option: str) -> datetime:
    """The moment that an option names, in UTC: a month, a date or an ISO 8601 time; without a time
    zone it is UTC.
    """
    try:
        moment = datetime.fromisoformat(f"{text}-01" if MONTH.match(text) else text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no moment; valid: a month such as 2013-04, a date such as 2013-04-01, or"
            " 2013-04-01T06:00 (UTC unless it names a zone).",
            param_hint=option,
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def counted(number: int, intervals: Sequence[Interval]) -> str:
    """What follows a title: which of the intervals it is about; nothing of a single one."""
    return f" ({number} of {len(intervals)})" if len(intervals) > 1 else ""


def cron_of(use_case: UseCase, process: str) -> str:
    """The cron whose intervals the process works on."""
    return str(getattr(use_case.schedule, f"{process}_cron"))


def planned_intervals(
    use_case: UseCase, process: str, first: str | None, last: str | None, now: datetime
) -> list[Interval]:
    """The intervals of the process's cron that lie in `[first, last)` as a whole, oldest first.

    Raises `typer.BadParameter` where there is none, and where the range leaves the data: those of a
    use case begin at `schedule.start`, and end at `schedule.end` or now.
    """
    for option, text in ((FROM, first), (TO, last)):
        if text is None:
            raise typer.BadParameter(
                f"{process} works on intervals of time: name them with {FROM} and {TO}, such as"
                f" {FROM} {use_case.schedule.start:%Y-%m-%d}.",
                param_hint=option,
            )
    start, end = moment_of(str(first), FROM), moment_of(str(last), TO)
    if end <= start:
        raise typer.BadParameter(
            f"{end:{FORM}} is not after {FROM} {start:{FORM}}; the range is half open, so a day is"
            f" {FROM} 2013-04-01 {TO} 2013-04-02.",
            param_hint=TO,
        )
    cron = cron_of(use_case, process)
    _require_data(use_case, cron, start, end, now)
    intervals = intervals_between(cron, start, end)
    if intervals:
        return intervals
    before, after = ticks_around(cron, start)[0], ticks_around(cron, end)[1]
    raise typer.BadParameter(
        f"no whole interval of {process} ({cron}) lies between {start:{FORM}} and {end:{FORM}};"
        f" write for example {FROM} {before:{FORM}} {TO} {after:{FORM}}.",
        param_hint=FROM,
    )


def training_interval(use_case: UseCase, last: str | None, now: datetime) -> Interval:
    """The day that ends with the training's window."""
    days = use_case.training.window_days
    if last is None:
        raise typer.BadParameter(
            f"training reads the {days:g} days before {TO}; name it, such as {TO} 2013-04-01.",
            param_hint=TO,
        )
    end = moment_of(last, TO)
    interval = Interval(end - timedelta(days=1), end)
    _require_data(use_case, cron_of(use_case, "features"), interval.start, end, now, named=TO)
    return interval


def _require_data(
    use_case: UseCase,
    cron: str,
    start: datetime,
    end: datetime,
    now: datetime,
    *,
    named: str = FROM,
) -> None:
    """`named` is the option that `start` follows from: that of a training's last day is `--to`."""
    schedule, moment = use_case.schedule, start if named == FROM else end
    newest = ticks_around(cron, now)[0]
    if end > now:
        raise typer.BadParameter(
            f"{end:{FORM}} lies in the future (it is {now:{FORM}} UTC): its rows do not exist yet."
            f" The newest interval that is over ends at {newest:{FORM}}.",
            param_hint=TO,
        )
    if start < schedule.start:
        raise typer.BadParameter(
            f"{moment:{FORM}} lies before the data of {use_case.name}, which begin at"
            f" {schedule.start:{FORM}} (schedule.start).",
            param_hint=named,
        )
    if schedule.end is not None and start > schedule.end:
        raise typer.BadParameter(
            f"{moment:{FORM}} lies behind the data of {use_case.name}, which end at"
            f" {schedule.end:{FORM}} (schedule.end).",
            param_hint=named,
        )
