"""No sink and no damaged record fails a process; what waits is sent by the step of the alarms."""

from __future__ import annotations

import pytest

from include.alarms.store import AlarmStore
from include.errors import SettingsError
from include.processes.alarms import (
    close_all_safely,
    note_safely,
    raise_safely,
    report_failed_run,
    send_alarms,
    settle_run,
)
from include.settings import Settings
from include.steps import RunInfo, StepContext
from proofs.harness.ports import free_port
from tests.unit.alarms.receivers import webhook
from tests.unit.alarms.samples import PARCELS, decayed, happened, settings_in, window


@pytest.fixture
def settings(tmp_path) -> Settings:
    (tmp_path / "sinks.toml").write_text('[hook]\naddress_file = "hook.url"\n')
    (tmp_path / "hook.url").write_text(f"json://127.0.0.1:{free_port()}/alarms")
    return settings_in(tmp_path, FLIGHTDECK_ALARM_SINKS=str(tmp_path / "sinks.toml"))


def context(settings: Settings) -> StepContext:
    return StepContext(PARCELS, settings, window(0), RunInfo("alarms", "scheduled__1"))


def failed(settings: Settings, run_id: str, started: str = "12:00") -> None:
    report_failed_run(
        settings, PARCELS, "features", run_id=run_id, reason="task_failure", started=started
    )


def test_a_sink_that_is_down_fails_nothing_and_the_step_sends_later(settings, tmp_path, caplog):
    raise_safely(settings, happened())
    assert "is not sent to hook" in caplog.text
    result = send_alarms(context(settings))
    assert (result.sent, result.waiting) == (0, 1)
    assert "Connection error" in result.failing["hook"]
    with webhook() as hook:
        (tmp_path / "hook.url").write_text(f"json://127.0.0.1:{hook.port}/alarms")
        with AlarmStore(settings).tables.writing() as connection:
            connection.exec_driver_sql("UPDATE alarm_sinks SET next_at = ''")  # an hour later
        result = send_alarms(context(settings))
    assert (result.sent, result.waiting, result.failing) == (1, 0, {})
    assert len(hook.bodies) == 1


def test_a_file_of_sinks_that_makes_no_sense_keeps_no_alarm_from_being_recorded(
    settings, tmp_path, caplog
):
    (tmp_path / "sinks.toml").write_text("[hook")
    raise_safely(settings, happened())
    assert "No alarm is sent: FLIGHTDECK_ALARM_SINKS is" in caplog.text
    assert len(AlarmStore(settings).alarms()) == 1
    with pytest.raises(SettingsError, match="cannot be read"):
        send_alarms(context(settings))


def test_records_that_are_damaged_are_named_in_the_log_and_fail_nothing(settings, caplog):
    settings.alarms_path.parent.mkdir()
    settings.alarms_path.write_bytes(b"no database" * 1000)
    raise_safely(settings, happened())
    close_all_safely(settings, "parcels", "rollback", actor="a", reason="b")
    note_safely(settings, "parcels", "drift", actor="a", reason="b", once="c")
    settle_run(settings, "parcels", "features", "run_1")
    for words in ("is not recorded", "are not closed", "has no note", "is not closed"):
        assert words in caplog.text
    assert "it holds alarms alone" in caplog.text


def test_a_failed_run_is_an_alarm_of_its_process_that_its_next_good_run_closes(settings):
    store = AlarmStore(settings)
    for run_id in ("run_1", "run_1", "run_2"):
        failed(settings, run_id)
    (alarm,) = store.alarms()
    assert (alarm.key.kind, alarm.key.subject, alarm.times) == ("failed_run", "features", 2)
    assert alarm.reason == "parcels__features failed: task_failure"
    settle_run(settings, "parcels", "training", "run_3")
    assert store.alarm(1).is_open
    settle_run(settings, "parcels", "features", "run_3")
    assert (store.alarm(1).state, store.alarm(1).changed_by) == ("closed", "features/run_3")
    failed(settings, "run_2", started="13:00")  # it was cleared, and fails again
    assert store.alarm(1).openings == 2


def test_only_the_open_alarms_of_the_kind_are_closed(settings):
    store = AlarmStore(settings)
    for subject in ("version 2", "version 3"):
        store.signal(happened("rollback", subject=subject))
    store.signal(decayed(0))
    close_all_safely(settings, "parcels", "rollback", actor="deployment/4", reason="promoted")
    assert [alarm.key.kind for alarm in store.alarms(is_open=True)] == ["performance"]
