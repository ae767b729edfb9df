"""A run that failed raises an alarm in the words of Airflow's callback; a good one closes it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dags.factories.monitoring import build_monitoring_dag
from dags.factories.training import build_training_dag
from include.alarms.store import AlarmStore
from include.settings import Settings, load_settings
from include.use_cases.flight_delays.spec import USE_CASE
from plugins.alarms import FailedRunNotifier, on_dag_run_success


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    return load_settings()


def failed(**more):
    """What Airflow hands to a DAG's callback, at the least."""
    return {
        "dag": build_training_dag(USE_CASE),
        "run_id": "manual__7",
        "reason": "task_failure",
        **more,
    }


def test_a_failed_run_is_an_alarm_until_a_run_of_its_process_ends_well(settings):
    notifier = FailedRunNotifier()
    notifier(failed())
    store = AlarmStore(settings)
    (alarm,) = store.alarms()
    assert (alarm.key.kind, alarm.key.subject, alarm.run) == (
        "failed_run",
        "training",
        "training/manual__7",
    )
    assert alarm.owner == USE_CASE.owner
    assert alarm.reason == "flight_delays__training failed: task_failure"
    on_dag_run_success(SimpleNamespace(dag_id="flight_delays__training", run_id="manual__8"), "")
    assert store.alarm(1).changed_by == "training/manual__8"
    again = SimpleNamespace(start_date="13:00")
    notifier(failed(dag_run=again))
    assert store.alarm(1).openings == 2


def test_a_dag_as_the_scheduler_stores_it_is_enough(settings):
    stored = SimpleNamespace(dag_id="flight_delays__features")
    FailedRunNotifier()(failed(dag=stored))
    (alarm,) = AlarmStore(settings).alarms()
    assert alarm.key.subject == "features"


def test_a_good_run_of_somebody_else_s_dag_is_none_of_ours(settings, tmp_path):
    on_dag_run_success(SimpleNamespace(dag_id="example", run_id="r"), "")
    on_dag_run_success(SimpleNamespace(dag_id="flight_delays__features", run_id="r"), "")
    assert not settings.alarms_path.exists()


def test_every_dag_has_the_notifier_as_its_callback():
    assert isinstance(build_monitoring_dag(USE_CASE).on_failure_callback, FailedRunNotifier)
