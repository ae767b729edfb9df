"""A cause is announced by an asset event, and that there is none is an answer, not a skip."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset

from include.steps import StepContext
from include.triggers.policy import Announcement
from plugins.operators.alarm import AlarmOperator
from plugins.operators.cause import AnnounceCauseOperator
from plugins.operators.new_data import NewDataOperator
from tests.unit.plugins.task_context import task_context

APRIL = (datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC))
ALARM = Asset(name="flight_delays/alarm", uri="flightdeck://flight_delays/alarm")
KINDS = (AnnounceCauseOperator, AlarmOperator, NewDataOperator)


def announce(context: StepContext) -> Announcement:
    return Announcement(announce=True, reason="AUC fell", extra={"cause_id": "alarm:run_1"})


def stay_quiet(context: StepContext) -> Announcement:
    return Announcement(announce=False, reason="No alarm: none.", extra={})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))


def run(kind: type[AnnounceCauseOperator], step: str):
    """The declared task, the copy that Airflow runs, its result and what it wrote to its event."""
    declared = kind(
        task_id="raise_alarm",
        step=f"{__name__}:{step}",
        asset=ALARM,
        use_case="flight_delays",
        process="monitoring",
    )
    running = declared.prepare_for_execution()
    events = {ALARM: SimpleNamespace(extra={})}
    result = running.execute(task_context(window=APRIL, outlet_events=events))
    return declared, running, result, events[ALARM].extra


@pytest.mark.parametrize("kind", KINDS)
def test_an_announcement_is_the_event_of_the_task(kind):
    declared, running, result, extra = run(kind, "announce")
    assert result["announce"] is True
    assert extra == {"cause_id": "alarm:run_1"}
    assert running.outlets == declared.outlets == [ALARM]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_announce_ends_well_without_an_outlet_that_the_dag_still_declares(kind):
    declared, running, result, extra = run(kind, "stay_quiet")
    assert (result["announce"], result["reason"]) == (False, "No alarm: none.")
    assert extra == {}
    assert running.outlets == []
    assert declared.outlets == [ALARM]
