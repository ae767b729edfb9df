"""Limits on deliveries that a source's own history asks for: its intervals are measured as
deliveries are, and where a default would refuse one of them a limit of its own is proposed.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import polars as pl

from cli.authoring.profile import Profile
from include.errors import SpecError
from include.interval import Interval
from include.quality.history import History, Proposal
from include.spec import Table, UseCase
from include.spec.times import intervals_between, ticks_around
from include.tables.store import in_window

MOST_INTERVALS = 120
"""The newest that are measured: ten years of months, four months of days."""
DATA_CHECKS = "data_checks"

Limits = Mapping[str, Mapping[str, Proposal]]
"""By the part of the specification (`raw/orders`, `raw/orders.price`, `data_checks`), the limits to
declare by their fields.
"""


def use_case_of(text: str) -> UseCase:
    """The use case that the text of a spec.py declares; it is imported from a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proposed_spec.py"
        file.write_text(text, encoding="utf-8")
        module_spec = spec_from_file_location(file.stem, file)
        if module_spec is None or module_spec.loader is None:
            raise SpecError(f"{file} cannot be imported.")
        module = module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
    use_case: UseCase = module.USE_CASE
    return use_case


def whole_intervals(use_case: UseCase) -> list[Interval]:
    """The intervals that the rows fill to their end, oldest first."""
    schedule = use_case.schedule
    end = ticks_around(schedule.features_cron, schedule.end or schedule.start)[0]
    return intervals_between(schedule.features_cron, schedule.start, end)


def measured_limits(use_case: UseCase, profile: Profile) -> Limits:
    """Where a declared limit would refuse an interval of the rows: the one that would just not.

    Bounds of values are left to the profile, which has seen all rows.
    """
    history = History(use_case)
    for interval in whole_intervals(use_case)[-MOST_INTERVALS:]:
        frames = {
            table.name: _rows(use_case, table, profile, interval) for table in use_case.tables
        }
        history.add(interval, frames)
    limits: dict[str, dict[str, Proposal]] = defaultdict(dict)
    for proposal in history.proposals():
        if proposal.breaks:
            part = DATA_CHECKS if proposal.where.startswith(DATA_CHECKS) else proposal.where
            limits[part][proposal.field] = proposal
    return limits


def _rows(use_case: UseCase, table: Table, profile: Profile, interval: Interval) -> pl.DataFrame:
    """What the source would give of the interval."""
    rows, time = profile.rows, str(table.time_column)
    if table.name == use_case.data_set.label_table and table.source is not None:
        known = pl.col(use_case.event_time) + table.source.delay
        rows = rows.with_columns(known.alias(time)).drop_nulls(use_case.label.column)
    inside = rows.filter(in_window(time, interval.start, interval.end))
    return inside.select(column.name for column in table.columns)
