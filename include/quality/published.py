"""Statistics of every published interval, in the Delta table `<use case>/statistics`: what later
deliveries are compared with.

One row per interval and table: rows, a digest of what the rows say (keys and times left out), and
every column's profile as JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from include.interval import Interval
from include.quality.profiles import Profile, profile
from include.spec import Table, UseCase
from include.tables.fence import Fence
from include.tables.store import TIMESTAMP, TableStore, frame_digest

MARK = "interval_start"
PROFILES = "profiles_json"
COUNT = "__rows"
PANEL_SHARE = 0.5


@dataclass(frozen=True)
class Statistics:
    """What one table held in one published interval."""

    table: str
    interval: Interval
    rows: int
    content_digest: str
    profiles: dict[str, Profile]


def statistics_table(use_case_name: str) -> str:
    """The table of a use case's published statistics."""
    return f"{use_case_name}/statistics"


def describe_table(table: Table, frame: pl.DataFrame, interval: Interval) -> Statistics:
    """The statistics of rows that are about to be judged or published; columns that the table does
    not declare are left out.
    """
    profiles = {
        column.name: profile(frame[column.name])
        for column in table.columns
        if column.name in frame.columns
    }
    present = {name: found for name, found in profiles.items() if found is not None}
    return Statistics(table.name, interval, frame.height, content_digest(table, frame), present)


def content_names(table: Table, frame: pl.DataFrame) -> list[str]:
    """The columns of the rows' content: neither key nor timestamp."""
    names = [
        column.name
        for column in table.columns
        if column.name in frame.columns and column.name not in table.key
    ]
    return [name for name in names if not isinstance(frame.schema[name], pl.Datetime)]


def chance_of_equal_content(
    table: Table, frame: pl.DataFrame, entities: Sequence[str] = ()
) -> float:
    """How likely another draw of as many rows from the same values has the same content: near 1 for
    few distinct values, below 1e-8 for twenty distinct rows.

    Where the rows are a panel, each of `entities` (their columns) again at most moments, whom they
    are about repeats by design, and only what is told of each of them is drawn.
    """
    names = content_names(table, frame)
    if not names or not frame.height:
        return 1.0
    about = [name for name in entities if name in names]
    if not _is_panel(table, frame, about, whole=set(about) == set(names)):
        about = []
    counts = frame.group_by(names).len(name=COUNT)
    by_entity = counts.group_by(about).agg(pl.col(COUNT).sum()) if about else counts
    totals = by_entity[COUNT].to_list() if about else [frame.height]
    drawn = sum(math.lgamma(total + 1) - total * math.log(total) for total in totals)
    fixed = sum(count * math.log(count) - math.lgamma(count + 1) for count in counts[COUNT])
    return math.exp(min(0.0, drawn + fixed))


def _is_panel(table: Table, frame: pl.DataFrame, about: Sequence[str], *, whole: bool) -> bool:
    """Whether the usual one whom the rows are about is there at half of the moments or more; of one
    moment that tells nothing, unless whom they are about is the `whole` content.
    """
    if not about or table.time_column not in frame.columns:
        return False
    moments = frame[str(table.time_column)].n_unique()
    if moments == 1 and not whole:
        return False
    usual = frame.group_by(about).len()["len"].median()
    return float(str(usual)) >= moments * PANEL_SHARE


def content_digest(table: Table, frame: pl.DataFrame) -> str:
    """SHA-256 of the rows without key and timestamps: a delivery that was copied and re-dated keeps
    it. Empty for no such column.
    """
    names = content_names(table, frame)
    return (
        frame_digest(frame.select(names))
        if names and frame.height
        else hashlib.sha256(b"").hexdigest()
    )


def record(
    tables: TableStore, use_case: UseCase, described: list[Statistics], fence: Fence | None = None
) -> None:
    """Make the interval's statistics exactly these; the same again writes nothing."""
    if not described:
        return
    interval = described[0].interval
    rows = [
        {
            "table": part.table,
            MARK: interval.start.astimezone(UTC),
            "interval_end": interval.end.astimezone(UTC),
            "rows": part.rows,
            "content_digest": part.content_digest,
            PROFILES: json.dumps(
                {name: profile.as_json() for name, profile in sorted(part.profiles.items())}
            ),
        }
        for part in described
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col(MARK, "interval_end").cast(TIMESTAMP))
    # An interval is known by its start; one that starts inside it replaces nothing of it.
    instant = interval.start.astimezone(UTC)
    tables.replace_window(
        statistics_table(use_case.name),
        frame,
        time_column=MARK,
        start=instant,
        end=datetime.fromtimestamp(instant.timestamp() + 1, tz=UTC),
        fence=fence,
    )


def read(tables: TableStore, use_case: UseCase, table: str) -> list[Statistics]:
    """The table's statistics of all published intervals in order of time; empty when nothing was
    published.
    """
    name = statistics_table(use_case.name)
    if not tables.exists(name):
        return []
    rows = tables.read(name, where=pl.col("table") == table).sort(MARK)
    return [
        Statistics(
            row["table"],
            Interval(row[MARK], row["interval_end"]),
            row["rows"],
            row["content_digest"],
            {
                column: Profile.from_json(fields)
                for column, fields in json.loads(row[PROFILES]).items()
            },
        )
        for row in rows.iter_rows(named=True)
    ]


def without_values(profiles_json: str, holds: Callable[[str, Any], bool]) -> str:
    """A row's profiles without the values of each column that are to go; the text as it was where
    there is none.
    """
    profiles, changed = json.loads(profiles_json), False
    for column, fields in profiles.items():
        pairs = list(zip(fields["values"], fields["weights"], strict=True))
        remaining = [pair for pair in pairs if not holds(column, pair[0])]
        if len(remaining) < len(pairs):
            changed = True
            fields["values"] = [value for value, _ in remaining]
            fields["weights"] = [weight for _, weight in remaining]
    return json.dumps(profiles) if changed else profiles_json
