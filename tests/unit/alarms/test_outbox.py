"""Notices reach an e-mail server and a webhook that really listen: in order, once, and later where
they are down.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from include.alarms.outbox import CLAIM, pause_after, send_waiting, sink_states
from include.alarms.sinks import redacted
from include.alarms.store import AlarmStore
from include.errors import SettingsError
from include.settings import Settings
from include.spec import Alarms
from proofs.harness.ports import free_port
from tests.unit.alarms.receivers import mail_server, webhook
from tests.unit.alarms.samples import (
    DAY,
    HOUR,
    NOON,
    PARCELS,
    decayed,
    happened,
    settings_in,
    window,
)

MINUTE = timedelta(minutes=1)
SECRET = "s3cr3t-token"
HOOK = '[hook]\naddress_file = "hook.url"\n'


class Clock:
    """The time of day, as the test lets it pass."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


def home_with(tmp_path: Path, sinks: str, **files: str) -> Settings:
    (tmp_path / "sinks.toml").write_text(sinks)
    for name, text in files.items():
        (tmp_path / f"{name}.url").write_text(f"{text}\n")
    return settings_in(tmp_path, FLIGHTDECK_ALARM_SINKS=str(tmp_path / "sinks.toml"))


def hook_address(port: int) -> str:
    return f"json://ada:{SECRET}@127.0.0.1:{port}/{SECRET}/?+X-Token={SECRET}"


@pytest.mark.slow
def test_an_owner_gets_an_e_mail_and_a_webhook_the_same_notice(tmp_path, monkeypatch):
    with mail_server() as box, webhook() as hook:
        monkeypatch.setenv(
            "TEAM_MAIL",
            f"mailto://127.0.0.1:{box.port}/?from=flightdeck@example.org&to={{owner}}&format=text",
        )
        settings = home_with(
            tmp_path,
            f'[owners]\naddress_environment = "TEAM_MAIL"\n{HOOK}',
            hook=hook_address(hook.port),
        )
        AlarmStore(settings).signal(decayed(0))
        states = send_waiting(settings)
    assert [(state.name, state.sent, state.waiting) for state in states] == [
        ("owners", 1, 0),
        ("hook", 1, 0),
    ]
    ((recipients, mail),) = box.mails
    assert recipients == [PARCELS.owner]
    title = "[critical] parcels: The model performs worse than when it was released"
    assert mail["Subject"] == title
    text = mail.get_payload(decode=True).decode()
    for line in (
        "AUC is 0.6 on day 0.",
        "Data: 2013-01-01 00:00 to 2013-01-02 00:00 UTC",
        "Run: monitoring/day_0",
        "auc_drop (auc, performance): observed 0.6, threshold 0.65: below the threshold",
        "flightdeck alarms show 1",
    ):
        assert line in text
    (body,) = hook.bodies
    assert (body["title"], body["type"]) == (title, "failure")
    assert "AUC is 0.6 on day 0." in body["message"]


def test_a_sink_that_is_down_for_an_hour_gets_everything_later_in_order_and_once(
    tmp_path, clock, caplog
):
    port = free_port()
    settings = home_with(tmp_path, HOOK, hook=hook_address(port))
    store, tries = AlarmStore(settings), []
    for minute in range(0, 60, 5):
        clock.moment = NOON + minute * MINUTE
        store.signal(
            happened("failed_run", run=f"features/{minute}", subject=f"day {minute}"),
            now=clock.moment,
        )
        before = sink_states(settings, now=clock)[0].failures
        (state,) = send_waiting(settings, now=clock)
        assert state.sent == 0
        tries.append(state.failures - before)
    assert 3 < sum(tries) < len(tries)  # it was left alone for longer and longer
    assert (state.waiting, state.failures) == (12, sum(tries))
    assert "127.0.0.1" in state.error
    assert SECRET not in json.dumps([vars(state)]) + caplog.text
    with webhook(port) as hook:
        clock.moment = NOON + 56 * MINUTE
        assert send_waiting(settings, now=clock)[0].sent == 0  # it is up, and not yet tried again
        clock.moment = NOON + HOUR
        (state,) = send_waiting(settings, now=clock)
        send_waiting(settings, now=clock)
    assert (state.sent, state.waiting, state.failures, state.error) == (12, 0, 0, "")
    assert [title.rpartition("day ")[2] for title in hook.titles] == [
        f"{minute})" for minute in range(0, 60, 5)
    ]


def test_a_sink_that_fails_holds_no_other_one_up(tmp_path, clock):
    with webhook() as hook, webhook() as broken:
        broken.status = 500
        settings = home_with(
            tmp_path,
            f'[broken]\naddress_file = "broken.url"\n{HOOK}',
            hook=hook_address(hook.port),
            broken=hook_address(broken.port),
        )
        AlarmStore(settings).signal(happened(), now=NOON)
        states = send_waiting(settings, now=clock)
    assert [(state.name, state.sent, state.failures) for state in states] == [
        ("broken", 0, 1),
        ("hook", 1, 0),
    ]
    assert "error=500" in states[0].error


def test_a_storm_of_fifty_reaches_people_once(tmp_path, clock):
    with webhook() as hook:
        settings = home_with(tmp_path, HOOK, hook=hook_address(hook.port))
        store = AlarmStore(settings)
        for number in range(50):
            store.signal(decayed(number), now=NOON + timedelta(seconds=number))
            send_waiting(settings, now=clock)
    assert len(hook.bodies) == 1


def test_two_senders_at_once_send_each_notice_once(tmp_path):
    with webhook() as hook:
        settings = home_with(tmp_path, HOOK, hook=hook_address(hook.port))
        store = AlarmStore(settings)
        for number in range(6):
            store.signal(happened("failed_run", subject=f"day {number}"))
        senders = [threading.Thread(target=send_waiting, args=(settings,)) for _ in range(2)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
        send_waiting(settings)
    assert [title.rpartition("day ")[2] for title in hook.titles] == [
        f"{number})" for number in range(6)
    ]


def test_what_a_killed_sender_had_claimed_is_sent_when_its_claim_has_run_out(
    tmp_path, clock, monkeypatch
):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with webhook() as hook:
        settings = home_with(tmp_path, HOOK, hook=hook_address(hook.port))
        AlarmStore(settings).signal(happened(), now=NOON)
        with monkeypatch.context() as patch:
            patch.setattr("include.alarms.outbox.send", die)
            with pytest.raises(KeyboardInterrupt):
                send_waiting(settings, now=clock)
        assert send_waiting(settings, now=clock)[0].sent == 0
        clock.moment += CLAIM
        assert send_waiting(settings, now=clock)[0].sent == 1
    assert len(hook.bodies) == 1


def test_a_sink_takes_what_its_table_and_the_use_case_say(tmp_path, clock):
    sinks = """
        [severe]
        address_file = "hook.url"
        severity = "critical"
        [letters]
        address_file = "hook.url"
        use_cases = ["letters"]
        [releases]
        address_file = "hook.url"
        kinds = ["rollback", "held"]
        [pager]
        address_file = "hook.url"
    """
    paged = PARCELS.model_copy(update={"alarms": Alarms(sinks=("pager",))})
    with webhook() as hook:
        settings = home_with(tmp_path, sinks, hook=hook_address(hook.port))
        store = AlarmStore(settings)
        store.signal(happened("held"), now=NOON)
        store.signal(decayed(0), now=NOON)
        store.signal(decayed(1, use_case=paged.model_copy(update={"name": "notes"})), now=NOON)
        states = send_waiting(settings, now=clock)
    assert {state.name: state.sent for state in states} == {
        "severe": 1,
        "letters": 0,
        "releases": 1,
        "pager": 3,
    }


def test_a_closed_alarm_is_told_to_be_closed(tmp_path, clock):
    with webhook() as hook:
        settings = home_with(tmp_path, HOOK, hook=hook_address(hook.port))
        store = AlarmStore(settings)
        alarm = store.signal(decayed(0), now=NOON)
        store.quiet(alarm.key, window=window(1), actor="monitoring/day_1", reason="quiet", now=NOON)
        send_waiting(settings, now=clock)
    assert [body["type"] for body in hook.bodies] == ["failure", "success"]
    assert hook.bodies[1]["message"].startswith("Closed by monitoring/day_1: quiet")


def test_a_new_sink_gets_the_notices_of_the_last_day_alone(tmp_path, clock):
    settings = home_with(tmp_path, HOOK, hook=hook_address(free_port()))
    store = AlarmStore(settings)
    store.signal(happened("rollback"), now=NOON - 2 * DAY)
    store.signal(happened("held"), now=NOON - HOUR)
    assert [state.waiting for state in sink_states(settings, now=clock)] == [1]


def test_an_address_that_is_missing_or_unknown_is_named_without_being_shown(
    tmp_path, clock, monkeypatch
):
    monkeypatch.delenv("NOT_SET", raising=False)
    sinks = """
        [unset]
        address_environment = "NOT_SET"
        [missing]
        address_file = "missing.url"
        [unknown]
        address_file = "unknown.url"
    """
    settings = home_with(tmp_path, sinks, unknown=f"carrier-pigeon://{SECRET}")
    AlarmStore(settings).signal(happened(), now=NOON)
    unset, missing, unknown = send_waiting(settings, now=clock)
    assert unset.error == "the variable NOT_SET is empty"
    assert missing.error == f"the file {tmp_path}/missing.url cannot be read: FileNotFoundError"
    assert unknown.error.startswith("apprise knows no such address; for example mailtos://")


@pytest.mark.parametrize(
    ("sinks", "says"),
    [
        (
            "[chat]\naddress = 'slack://token'",
            "holds an address, which may hold a secret",
        ),
        ("[chat]", "name one of address_environment and address_file"),
        ("[chat]\naddress_environment = 'FLIGHTDECK_CHAT'", "must not begin with FLIGHTDECK_"),
        ("[chat]\naddress_file = 'x'\ncolour = 1", "colour: Extra inputs are not permitted; valid"),
        ("[chat]\naddress_file = 'x'\nseverity = 'bad'", "severity: Input should be 'info'"),
        ("chat = 'x'", "'chat' is no table"),
        ("[chat", "which cannot be read"),
    ],
)
def test_a_file_of_sinks_that_makes_no_sense_is_refused_by_name(tmp_path, sinks, says):
    settings = home_with(tmp_path, sinks)
    AlarmStore(settings).signal(happened(), now=NOON)
    with pytest.raises(SettingsError, match=says):
        send_waiting(settings)


def test_the_pause_doubles_up_to_a_quarter_of_an_hour():
    assert [pause_after(number).total_seconds() for number in (1, 2, 3, 6, 7, 500)] == [
        30,
        60,
        120,
        900,
        900,
        900,
    ]


def test_without_sinks_nothing_is_sent_and_nothing_is_made(tmp_path):
    assert send_waiting(settings_in(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_no_line_of_a_log_holds_a_secret_of_an_address(tmp_path, clock, caplog):
    caplog.set_level(logging.DEBUG)
    with webhook() as hook:
        hook.status = 500
        settings = home_with(tmp_path, HOOK, hook=hook_address(hook.port))
        AlarmStore(settings).signal(happened(), now=NOON)
        assert send_waiting(settings, now=clock)[0].failures == 1
        hook.status = 200
        clock.moment += MINUTE
        assert send_waiting(settings, now=clock)[0].sent == 1
    assert hook.headers[0]["X-Token"] == SECRET
    assert "is not sent to hook" in caplog.text
    assert SECRET not in caplog.text


def test_what_a_receiver_answers_is_shown_without_the_parts_of_the_address():
    address = "slack://T1JJ3/A1BRTD4/xoxb-1234/#alarms?footer=no"
    text = redacted("refused xoxb-1234 of T1JJ3 and A1BRTD4 in #alarms", address)
    assert text == "refused *** of *** and *** in ***"
