"""How often the processes of a new use case run, and what an interval and a window then hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np
import polars as pl

from cli.authoring.profile import Profile
from include.spec.times import intervals_between, ticks_around

ROWS_OF_AN_INTERVAL = 1000
CRONS = (("@daily", 1), ("@weekly", 7), ("@monthly", 30))
YEAR_DAYS = 365
YEARLY = ("@yearly", YEAR_DAYS)
LONGEST_DAYS = {"@daily": 1, "@weekly": 7, "@monthly": 31, "@yearly": 366}
LENGTHS = {"@daily": 1, "@weekly": 7, "@monthly": 30, "@quarterly": 91, "@yearly": 365}
FEWEST_JUDGED = 100
"""Rows below which monitoring would judge noise."""
LATE_DAYS = 3
"""How late a run may be before its features count as missing."""
SEEN_INTERVALS = 6
"""So many say how small an honest interval may be."""
FEWEST_INTERVALS = 3
"""Of a longer cron than the rows need: with fewer there is nothing to compare with."""
LEAST_YEARS = 10
"""From so many years on an interval may be a year, where months hold too little."""
ROWS_OF_A_WINDOW = 5000
LOOK_BACK_DAYS = 28
MIDNIGHT = time(0)
COVERED = 0.9
"""An interval of which the rows reach so far is whole."""


@dataclass(frozen=True)
class Cadence:
    """When the processes run and what a window holds."""

    cron: str
    reason: str
    start: datetime
    end: datetime
    interval_rows: int
    """Of a usual interval."""
    fewest_rows: int
    """Of the smallest one; 0 where there are too few to say."""
    window_days: int
    window_rows: int
    beyond: int = 0
    """Rows from `end` on: of an interval that is not over by the last of them."""

    @property
    def monitoring(self) -> tuple[str, int]:
        """The shortest cron from the features' on whose usual interval holds enough rows to be
        judged, and how many those are; the features' own where none does often enough.
        """
        daily = self.interval_rows / LENGTHS[self.cron]
        names = list(LENGTHS)
        for cron in names[names.index(self.cron) :]:
            rows = round(daily * LENGTHS[cron])
            if rows < 2 * FEWEST_JUDGED:
                continue
            if len(intervals_between(cron, self.start, self.end)) > FEWEST_INTERVALS:
                return cron, rows
        return self.cron, self.interval_rows

    @property
    def ttl_days(self) -> int:
        """How old a feature is at most just before the next run renews it, and a little more."""
        return LONGEST_DAYS[self.cron] + LATE_DAYS


def cadence(profile: Profile, time: str) -> Cadence:
    """The shortest cron whose usual interval holds enough rows to be compared with others and of
    which none is empty, and a window of half the source, of at most a year unless that holds too
    little to learn from.
    """
    first, end = profile.span(time)
    days = max((end - first) / timedelta(days=1), 1.0)
    daily = profile.rows.height / days
    crons = (*CRONS, YEARLY) if days >= LEAST_YEARS * YEAR_DAYS else CRONS
    usual = next(
        (choice for choice in crons if daily * choice[1] >= ROWS_OF_AN_INTERVAL), crons[-1]
    )
    (cron, length), gap = _without_gaps(usual, profile.rows[time], first, end)
    longest = max(YEAR_DAYS, math.ceil(ROWS_OF_A_WINDOW / daily))
    window = int(min(longest, max(LOOK_BACK_DAYS, days // 2)))
    reason = (
        f"{daily:.3g} rows a day, so about {daily * length:.0f} an interval; with fewer than"
        f" {ROWS_OF_AN_INTERVAL} distances between intervals are noise.{gap}"
    )
    start = ticks_around(cron, first)[0]
    last, beyond = _last_tick(profile.rows[time], cron, start)
    rows = [rows for _, rows in _intervals(cron, profile.rows[time], first, last)]
    return Cadence(
        cron=cron,
        reason=reason,
        start=start,
        end=last,
        interval_rows=round(daily * length),
        fewest_rows=min(rows) if len(rows) >= SEEN_INTERVALS else 0,
        window_days=window,
        window_rows=round(daily * min(window, days)),
        beyond=beyond,
    )


def _last_tick(times: pl.Series, cron: str, start: datetime) -> tuple[datetime, int]:
    """The end of the last interval that the rows fill, and how many rows lie behind it.

    The last one is filled where its rows reach its end but for a tenth, or where they are no fewer
    than those of another one, or where there is no other.
    """
    ordered = times.drop_nulls().sort()
    last = ordered[-1]
    if (ordered.dt.time() == MIDNIGHT).all():
        last += timedelta(days=1) - timedelta(microseconds=1)  # a day without its hours
    tick, following = ticks_around(cron, last + timedelta(microseconds=1))
    if tick == following:
        return tick, 0
    bounds = [start, *(interval.end for interval in intervals_between(cron, start, tick))]
    places = ordered.search_sorted(pl.Series(bounds, dtype=ordered.dtype)).to_list()
    *counts, beyond = np.diff([*places, len(ordered)]).tolist()
    # The first may be cut off as well.
    others = counts[1:] or counts
    filled = (last - tick) / (following - tick) >= COVERED
    if filled or not others or beyond >= min(others):
        return following, 0
    return tick, beyond


def _without_gaps(
    usual: tuple[str, int], times: pl.Series, first: datetime, end: datetime
) -> tuple[tuple[str, int], str]:
    """The cron, or the next longer one of which every interval has rows; and what is to be said of
    the intervals that have none.
    """
    every = (*CRONS, YEARLY)
    empty = _empty_intervals(usual[0], times, first, end)
    if not empty:
        return usual, ""
    lacking = f"{len(empty)} of {usual[0]} have no rows, the first from {empty[0]:%Y-%m-%d}"
    for longer in every[every.index(usual) + 1 :]:
        enough = len(intervals_between(longer[0], first, end)) >= FEWEST_INTERVALS
        if enough and not _empty_intervals(longer[0], times, first, end):
            return longer, f" {lacking}: an interval without rows is refused."
    return usual, f" {lacking}: those will be refused."


def _empty_intervals(cron: str, times: pl.Series, first: datetime, end: datetime) -> list[datetime]:
    """The starts of the cron's intervals between the first row and the last that hold none."""
    return [start for start, rows in _intervals(cron, times, first, end) if not rows]


def _intervals(
    cron: str, times: pl.Series, first: datetime, end: datetime
) -> list[tuple[datetime, int]]:
    """The start and the number of rows of each of the cron's intervals that ends before the last
    row; the first may be one of which the source has a part alone.
    """
    intervals = intervals_between(cron, ticks_around(cron, first)[0], end)
    if not intervals:
        return []
    starts = [item.start for item in intervals]
    ticks = pl.Series([*starts, intervals[-1].end], dtype=times.dtype)
    numbers = ticks.search_sorted(times.drop_nulls(), side="right")
    counts = dict(numbers.value_counts().rows())
    return [(start, counts.get(number, 0)) for number, start in enumerate(starts, 1)]
