"""A process outside Airflow begins where the process before it has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import NotReadyYet
from include.interval import Interval
from include.processes.local import require_awaited, run_process
from include.steps import RunInfo, StepContext
from include.tables.completed import mark_complete
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings

JANUARY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))


def context_of(home: Path, process: str) -> StepContext:
    run = RunInfo(process=process, run_id="local")
    return StepContext(USE_CASE, home_settings(home), JANUARY, run)


@pytest.mark.parametrize(
    ("process", "before"), [("batch_scoring", "features"), ("monitoring", "batch_scoring")]
)
def test_an_interval_that_the_process_before_has_not_completed_names_the_command(
    tmp_path: Path, process: str, before: str
):
    context, steps = context_of(tmp_path, process), list[str]()
    with pytest.raises(NotReadyYet) as refused:
        run_process(context, steps.append)
    assert steps == []
    assert f"{before} of flight_delays has not completed {JANUARY.text}." in str(refused.value)
    assert (
        f"flightdeck run flight_delays {before} --from 2013-01-01T00:00 --to 2013-02-01T00:00"
        in str(refused.value)
    )
    tables = TableStore(context.settings.tables_uri)
    mark_complete(tables, USE_CASE.name, before, JANUARY, {})
    require_awaited(context)


@pytest.mark.parametrize("process", ["features", "training", "deployment"])
def test_a_process_that_waits_for_none_begins_at_once(tmp_path: Path, process: str):
    require_awaited(context_of(tmp_path, process))
