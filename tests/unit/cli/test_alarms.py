"""The command `alarms` on alarms of several kinds, and on a sink that is down."""

from __future__ import annotations

import json

import pytest

from cli.application import invoke
from include.alarms.outbox import send_waiting
from include.alarms.store import AlarmStore
from include.errors import AlarmError, SettingsError
from include.settings import Settings
from proofs.harness.ports import free_port
from tests.unit.alarms.receivers import webhook
from tests.unit.alarms.samples import decayed, happened, settings_in


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "sinks.toml").write_text('[hook]\naddress_file = "hook.url"\n')
    (tmp_path / "hook.url").write_text(f"json://127.0.0.1:{free_port()}/alarms")
    return settings_in(tmp_path, FLIGHTDECK_ALARM_SINKS=str(tmp_path / "sinks.toml"))


@pytest.fixture
def raised(settings: Settings) -> None:
    store = AlarmStore(settings)
    store.signal(decayed(0))
    store.signal(decayed(1))
    reason = "Version 3 was rolled back (row 12 of the ledger): errors rose from 1 % to 5 % of rows"
    signal = happened("rollback", subject="version 3")
    store.signal(signal.model_copy(update={"reason": reason}))


def answer(settings: Settings, capsys, *arguments: str) -> str:
    assert invoke(["alarms", *arguments], settings) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines() if "--json" not in arguments), text
    return text


def test_list_says_what_is_open_and_why(settings, raised, capsys):
    text = answer(settings, capsys, "list")
    assert text.index("rollback version 3") < text.index("performance x2")
    assert "errors rose from 1 % to" in text
    content = json.loads(answer(settings, capsys, "list", "--json"))
    assert [alarm["number"] for alarm in content] == [2, 1]
    assert "No alarm is open" in answer(settings, capsys, "list", "--use-case", "letters")


def test_show_prints_evidence_and_history(settings, raised, capsys):
    text = answer(settings, capsys, "show", "1")
    for part in (
        "2013-01-02 00:00 to 2013-01-03 00:00 UTC",
        "auc_drop (auc, performance): observed 0.6",
        "raised: monitoring/day_0: AUC is 0.6 on day 0.",
        "repeated: monitoring/day_1",
    ):
        assert part in text
    content = json.loads(answer(settings, capsys, "show", "1", "--json"))
    assert [item["event"] for item in content["history"]] == ["raised", "repeated"]
    with pytest.raises(AlarmError, match="There is no alarm 9"):
        invoke(["alarms", "show", "9"], settings)


def test_a_person_acknowledges_and_closes_with_name_and_reason(settings, raised, capsys):
    why = ["--reason", "looking at it", "--who", "ada"]
    assert "acknowledged by ada" in answer(settings, capsys, "acknowledge", "1", *why)
    assert "1  acknowledged" in answer(settings, capsys, "list")
    answer(settings, capsys, "close", "1", "--reason", "the source is repaired", "--who", "bob")
    assert "performance" not in answer(settings, capsys, "list")
    text = answer(settings, capsys, "list", "--all")
    assert "1  closed" in text
    text = answer(settings, capsys, "show", "1")
    assert "acknowledged: ada: looking at it" in text
    assert "closed: bob: the source is repaired" in text


def test_sinks_show_what_waits_and_why(settings, raised, capsys):
    send_waiting(settings)
    text = answer(settings, capsys, "sinks")
    assert "hook" in text
    assert "Connection error" in text
    (state,) = json.loads(answer(settings, capsys, "sinks", "--json"))
    assert (state["waiting"], state["failures"]) == (2, 1)


def test_a_sink_is_tried_before_it_is_needed(settings, capsys, tmp_path):
    with webhook() as hook:
        (tmp_path / "hook.url").write_text(f"json://127.0.0.1:{hook.port}/alarms")
        assert "hook has taken a test notice" in answer(settings, capsys, "test", "hook")
    assert hook.titles == ["[test] Flightdeck reaches you"]
    with pytest.raises(AlarmError, match="hook does not take it: A Connection error"):
        invoke(["alarms", "test", "hook"], settings)
    with pytest.raises(SettingsError, match=r"no sink 'chat'.*\['hook'\]"):
        invoke(["alarms", "test", "chat"], settings)
    assert not settings.alarms_path.exists()
