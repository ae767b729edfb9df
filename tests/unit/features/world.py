"""Real flights in a folder of their own: ingested, published, with features computed, without
validation in between.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

from include.features.store import apply_definitions
from include.interval import Interval
from include.processes.features import compute_features, ingest_source, publish_tables
from include.settings import Settings
from include.steps import RunInfo, StepContext
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings
from tests.step_runs import ACCEPTED, run_step

MONTHS = [datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 13)]


def context_of(settings: Settings, start: datetime, end: datetime) -> StepContext:
    return StepContext(
        USE_CASE, settings, Interval(start, end), RunInfo(process="features", run_id="test")
    )


BUILT: dict[str, set[Path]] = {}
"""The files of the tables that `shared` made, by the URI of the tables."""


@cache
def shared(home: Path, months: int, share: float = 1.0) -> Settings:
    """What `build` makes, with Feast's definitions, once per process for one home: its tests leave
    it as they find it, and take `copy_of` it for what they write.
    """
    settings = build(home, months, share)
    apply_definitions(settings)
    BUILT[settings.tables_uri] = files_of(settings)
    return settings


def files_of(settings: Settings) -> set[Path]:
    return {path for path in Path(settings.tables_uri).rglob("*") if path.is_file()}


def copy_of(settings: Settings, home: Path) -> Settings:
    """The tables of a home in another one, to be changed there."""
    changed = files_of(settings) ^ BUILT.get(settings.tables_uri, files_of(settings))
    assert not changed, f"a test wrote to tables that others share: {sorted(changed)[:3]}"
    shutil.copytree(settings.tables_uri, home / "tables")
    own = home_settings(home, settings.sample_share)
    apply_definitions(own)
    return own


def build(home: Path, months: int, share: float = 1.0) -> Settings:
    """January and the following months up to `months`."""
    settings = home_settings(home, share)
    for start, end in pairwise(MONTHS[: months + 1]):
        context = context_of(settings, start, end)
        landed = run_step(ingest_source, context)
        run_step(publish_tables, context, {"ingest_source": landed, "validate_data": ACCEPTED})
        run_step(compute_features, context)
    return settings
