"""Which interval a run of Airflow works on, and what started it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.errors import SpecError
from include.interval import Interval
from include.settings import load_settings
from include.triggers.causes import CONSUMED, PENDING, Cause, amend
from plugins.run_context import run_interval, step_context
from tests.unit.plugins.task_context import DUE, event, task_context

MARCH, APRIL, MAY = (datetime(2013, month, 1, tzinfo=UTC) for month in (3, 4, 5))
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))


def cause_in(start: datetime, end: datetime) -> dict:
    return {"extra": {"interval": Interval(start, end).as_json()}}


def recorded(cause_id: str, interval: Interval, **fields) -> Cause:
    return Cause(cause_id, "alarm", "drift", "monitoring", interval, **fields)


@pytest.mark.parametrize(
    ("until", "end"),
    [("2013-04-01", APRIL), ("2013-04-01T02:00:00+02:00", APRIL), ("2013-04-01T00:00", APRIL)],
)
def test_the_parameter_until_comes_before_causes_and_data_interval(until, end):
    interval = run_interval({"until": until}, (cause_in(MARCH, APRIL),), APRIL, MAY)
    assert interval == Interval(end - DAY, end)


def test_a_parameter_until_that_is_no_date_is_refused_with_an_example():
    with pytest.raises(SpecError, match=r"'next week'.*e.g. 2013-04-01"):
        run_interval({"until": "next week"}, (), MARCH, APRIL)


def test_the_newest_cause_comes_before_the_data_interval():
    causes = (cause_in(APRIL, MAY), cause_in(MARCH, APRIL), {"extra": {}})
    assert run_interval({}, causes, MARCH, APRIL) == Interval(APRIL, MAY)


def test_without_a_cause_the_data_interval_counts():
    assert run_interval({}, ({"extra": {}},), MARCH, APRIL) == Interval(MARCH, APRIL)


@pytest.mark.parametrize("window", [(None, None), (MARCH, None), (APRIL, APRIL)])
def test_a_run_without_an_interval_is_refused_and_names_the_parameter(window):
    with pytest.raises(SpecError, match=r"no data interval.*`until`"):
        run_interval({}, (), *window)


@pytest.mark.parametrize(
    ("run_type", "trigger"),
    [
        ("scheduled", "scheduled"),
        ("backfill", "backfill"),
        ("asset_triggered", "asset"),
        ("asset_materialization", "manual"),
        ("operator_triggered", "operator"),
    ],
)
def test_a_run_knows_what_started_it(run_type, trigger):
    step = step_context(
        task_context(run_type=run_type, window=(MARCH, APRIL)), "flight_delays", "features"
    )
    assert step.run.trigger == trigger
    assert (step.run.process, step.run.run_id, step.run.try_number) == ("features", "run_1", 2)
    assert (step.use_case.name, step.run.triggered_by) == ("flight_delays", "")


def test_asset_events_are_the_causes_of_the_run():
    carried = event(interval=Interval(APRIL, MAY).as_json(), reason="drift")
    context = task_context(run_type="asset_triggered", events=(carried,))
    step = step_context(context, "flight_delays", "training")
    assert step.interval == Interval(APRIL, MAY)
    (cause,) = step.run.causes
    assert cause["asset"] == "flight_delays/alarm"
    assert cause["source_run_id"] == "monitoring_1"
    assert cause["extra"]["reason"] == "drift"


def test_a_training_whose_events_were_dropped_reads_the_causes_it_has_consumed():
    causes = [
        recorded("a", Interval(MARCH, APRIL), status=CONSUMED, consumed_by="run_1"),
        recorded("b", Interval(APRIL, MAY), status=PENDING),
    ]
    amend(load_settings(), "flight_delays", lambda _: causes)
    context = task_context(run_type="asset_triggered")
    assert step_context(context, "flight_delays", "training").interval == Interval(MARCH, APRIL)
    with pytest.raises(SpecError, match="no data interval"):
        step_context(context, "flight_delays", "monitoring")


def test_a_training_that_has_consumed_no_cause_reads_those_that_wait():
    causes = [
        recorded("a", Interval(MARCH, APRIL), status=CONSUMED, consumed_by="run_0"),
        recorded("b", Interval(APRIL, MAY), status=PENDING),
    ]
    amend(load_settings(), "flight_delays", lambda _: causes)
    context = task_context(run_type="asset_triggered")
    assert step_context(context, "flight_delays", "training").interval == Interval(APRIL, MAY)


@pytest.mark.parametrize(
    ("until", "holds"), [("2014-01-02", True), ("2013-01-02", True), ("2014-06-01", False)]
)
def test_a_training_is_judged_by_its_window_and_not_by_the_last_day_before_it(until, holds):
    context = task_context(run_type="manual", params={"until": until})
    if holds:
        step = step_context(context, "flight_delays", "training")
        assert step.interval.end == datetime.fromisoformat(until).replace(tzinfo=UTC)
        return
    window = "training window, 2014-03-03 00:00 to 2014-06-01 00:00 UTC, holds no data"
    with pytest.raises(SpecError, match=window):
        step_context(context, "flight_delays", "training")


def test_a_process_that_reads_no_window_gets_the_day_until_the_run_was_due():
    step = step_context(task_context(), "flight_delays", "deployment", uses_interval=False)
    assert step.interval == Interval(DUE - DAY, DUE)
