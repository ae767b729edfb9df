"""A process waits until another has finished the interval that it needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.interval import Interval
from include.settings import load_settings
from include.tables.completed import mark_complete
from include.tables.store import TableStore
from plugins.operators.interval import IntervalCompleteSensor
from plugins.refusal import Refusal
from tests.unit.plugins.task_context import task_context

START = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def tables(tmp_path, monkeypatch) -> TableStore:
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    return TableStore(load_settings().tables_uri)


@pytest.fixture
def sensor() -> IntervalCompleteSensor:
    return IntervalCompleteSensor(
        task_id="wait_for_features",
        use_case="flight_delays",
        process="monitoring",
        awaited="features",
    )


def test_it_waits_without_a_worker_slot(sensor):
    assert sensor.mode == "reschedule"


def test_only_the_awaited_process_and_the_whole_interval_end_the_wait(tables, sensor):
    context = task_context(window=(START, START + 2 * DAY))
    assert not sensor.poke(context)
    whole = Interval(START, START + 2 * DAY)
    mark_complete(tables, "flight_delays", "training", whole, {})
    mark_complete(tables, "flight_delays", "features", Interval(START, START + DAY), {})
    assert not sensor.poke(context)
    second = Interval(START + DAY, START + 2 * DAY)
    mark_complete(tables, "flight_delays", "features", second, {})
    assert sensor.poke(context)


def test_a_run_without_an_interval_fails_and_does_not_wait(tables, sensor):
    with pytest.raises(Refusal, match="no data interval"):
        sensor.poke(task_context())
