"""An alarm is one record, whoever raises it and however often; people are told when it matters."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from include.alarms.records import Alarm, Key
from include.alarms.store import AlarmStore
from include.alarms.tables import NOTICES
from include.errors import AlarmError
from include.spec import Alarms
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

PERFORMANCE = Key(use_case="parcels", kind="performance")


@pytest.fixture
def store(tmp_path) -> AlarmStore:
    return AlarmStore(settings_in(tmp_path))


def quiet(store: AlarmStore, number: int, now) -> Alarm | None:
    return store.quiet(
        PERFORMANCE,
        window=window(number),
        actor=f"monitoring/day_{number}",
        reason="quiet",
        now=now,
    )


def titles(store: AlarmStore) -> list[str]:
    with store.tables.reading() as connection:
        rows = connection.execute(NOTICES.select().order_by(NOTICES.c.number)).all()
    return [row.content.partition('"title":"')[2].partition('"')[0] for row in rows]


def events(store: AlarmStore, number: int = 1) -> list[str]:
    return [happening.event for happening in store.history(number)]


def test_reading_makes_nothing(tmp_path, store):
    assert store.alarms() == []
    assert store.history(1) == []
    with pytest.raises(AlarmError, match="none has been raised yet"):
        store.alarm(1)
    assert list(tmp_path.iterdir()) == []


def test_an_alarm_holds_what_was_seen_by_whom_where_and_on_which_evidence(store):
    raised = store.signal(decayed(0), now=NOON)
    (alarm,) = store.alarms(use_case="parcels", is_open=True)
    assert alarm == raised == store.alarm(1)
    assert (alarm.key, alarm.severity, alarm.owner) == (PERFORMANCE, "critical", PARCELS.owner)
    assert (alarm.run, alarm.window, alarm.opened_at) == ("monitoring/day_0", window(0), NOON)
    assert alarm.evidence.refused[0].observed == 0.6
    assert titles(store) == [
        "[critical] parcels: The model performs worse than when it was released"
    ]


def test_fifty_signals_in_a_minute_are_one_alarm_and_one_notice(store):
    for number in range(50):
        store.signal(decayed(number), now=NOON + timedelta(seconds=number))
    (alarm,) = store.alarms()
    assert (alarm.times, alarm.openings, alarm.window) == (50, 1, window(49))
    assert len(titles(store)) == 1


def test_the_same_signal_again_changes_nothing(store):
    first = store.signal(decayed(0), now=NOON)
    assert store.signal(decayed(0), now=NOON + 2 * DAY) == first
    rolled = store.signal(happened(), now=NOON)
    store.close(rolled.number, actor="ada", reason="looked at", now=NOON + HOUR)
    assert store.signal(happened(), now=NOON + 2 * DAY).state == "closed"
    assert events(store, rolled.number) == ["raised", "closed"]
    assert store.signal(happened(occurrence="again"), now=NOON + 2 * DAY).state == "open"


def test_alarms_of_other_use_cases_kinds_and_subjects_are_others(store):
    other = PARCELS.model_copy(update={"name": "letters"})
    signals = [
        decayed(0),
        decayed(0, use_case=other),
        happened("rollback"),
        happened("failed_run", subject="training"),
        happened("failed_run", subject="features"),
    ]
    assert [store.signal(signal, now=NOON).number for signal in signals] == [1, 2, 3, 4, 5]
    assert len(store.alarms(use_case="parcels")) == 4


def test_a_later_quiet_window_closes_it_and_it_opens_again_when_it_returns(store):
    store.signal(decayed(0), now=NOON)
    closed = quiet(store, 1, NOON + HOUR)
    assert (closed.state, closed.changed_by, closed.changed_because) == (
        "closed",
        "monitoring/day_1",
        "quiet",
    )
    assert quiet(store, 2, NOON + HOUR) is None
    again = store.signal(decayed(3), now=NOON + 2 * DAY)
    assert (again.number, again.state, again.openings, again.times) == (1, "open", 2, 2)
    assert events(store) == ["raised", "closed", "reopened"]
    assert [title[1:9] for title in titles(store)] == ["critical", "closed] ", "critical"]


def test_a_late_copy_about_an_older_window_neither_opens_nor_closes(store):
    store.signal(decayed(5), now=NOON)
    assert quiet(store, 4, NOON) is None
    quiet(store, 6, NOON)
    assert store.signal(decayed(5), now=NOON).state == "closed"
    assert store.signal(decayed(3), now=NOON).state == "closed"
    assert store.alarms(is_open=True) == []


def test_a_window_that_is_judged_again_turns_the_alarm_with_its_verdict(store):
    store.signal(decayed(5), now=NOON)
    assert quiet(store, 5, NOON + HOUR).state == "closed"  # late labels came
    assert store.signal(decayed(5), now=NOON + 2 * HOUR).state == "open"
    assert events(store) == ["raised", "closed", "reopened"]


def test_within_the_cool_down_a_return_is_told_when_it_is_over(store):
    store.signal(decayed(0), now=NOON)
    quiet(store, 1, NOON + HOUR)
    store.signal(decayed(2), now=NOON + 2 * HOUR)
    assert len(titles(store)) == 2
    assert store.tell_postponed(NOON + 3 * HOUR) == 0
    assert store.tell_postponed(NOON + DAY) == 1
    assert store.tell_postponed(NOON + DAY) == 0
    assert [title[1:9] for title in titles(store)] == ["critical", "closed] ", "critical"]


def test_a_return_that_is_gone_before_the_cool_down_is_over_is_told_to_nobody(store):
    store.signal(decayed(0), now=NOON)
    for number in range(1, 20):
        quiet(store, 2 * number, NOON + number * timedelta(minutes=2))
        store.signal(decayed(2 * number + 1), now=NOON + number * timedelta(minutes=2))
    quiet(store, 50, NOON + HOUR)
    assert store.tell_postponed(NOON + 2 * DAY) == 0
    assert len(titles(store)) == 2
    assert store.alarm(1).openings == 20


def test_an_open_alarm_reminds_after_the_cool_down_unless_somebody_works_on_it(store):
    store.signal(decayed(0), now=NOON)
    store.signal(decayed(1), now=NOON + DAY)
    assert len(titles(store)) == 2
    store.acknowledge(1, actor="ada", reason="looking at it", now=NOON + DAY)
    assert store.signal(decayed(2), now=NOON + 3 * DAY).state == "acknowledged"
    assert len(titles(store)) == 2


def test_what_became_worse_is_told_at_once(store):
    mild = decayed(0).model_copy(update={"severity": "warning"})
    store.signal(mild, now=NOON)
    store.acknowledge(1, actor="ada", reason="looking at it", now=NOON)
    store.signal(decayed(1), now=NOON + HOUR)
    assert [title[1:8] for title in titles(store)] == ["warning", "critica"]


def test_a_person_closes_with_a_reason_and_it_opens_again_when_it_returns(store):
    store.signal(decayed(0), now=NOON)
    with pytest.raises(AlarmError, match="Say why"):
        store.close(1, actor="ada", reason=" ", now=NOON)
    closed = store.close(1, actor="ada", reason="the source is repaired", now=NOON)
    assert (closed.state, closed.changed_by) == ("closed", "ada")
    with pytest.raises(AlarmError, match="closed already: the source is repaired"):
        store.close(1, actor="bob", reason="me too", now=NOON)
    with pytest.raises(AlarmError, match="is closed"):
        store.acknowledge(1, actor="bob", reason="me too", now=NOON)
    with pytest.raises(AlarmError, match="There is no alarm 7"):
        store.close(7, actor="bob", reason="me too", now=NOON)
    assert store.signal(decayed(1), now=NOON + DAY).state == "open"


def test_a_kind_that_is_only_recorded_is_told_to_nobody(store):
    silent = PARCELS.model_copy(update={"alarms": Alarms(recorded_only=("performance",))})
    store.signal(decayed(0, use_case=silent), now=NOON)
    quiet(store, 1, NOON)
    assert titles(store) == []
    assert events(store) == ["raised", "closed"]


def test_what_was_done_about_an_open_alarm_is_noted_once(store):
    note = {"actor": "deployment/1", "reason": "Version 2 is in service.", "now": NOON}
    store.note(PERFORMANCE, once="release-2", **note)
    store.signal(decayed(0), now=NOON)
    for _ in range(2):
        store.note(PERFORMANCE, once="release-2", **note)
    assert events(store) == ["raised", "noted"]
    assert store.alarm(1).state == "open"


def raise_many(home: Path, barrier, copies: int) -> None:
    store = AlarmStore(settings_in(home))
    barrier.wait(60)
    for number in range(copies):
        store.signal(happened(run=f"deployment/{number}"), now=NOON)


@pytest.mark.slow
def test_two_copies_at_once_leave_one_alarm_and_one_row_for_each_signal(tmp_path, store):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    copies = [
        spawn.Process(target=raise_many, args=(tmp_path, barrier, 10), daemon=True)
        for _ in range(2)
    ]
    for process in copies:
        process.start()
    for process in copies:
        process.join(120)
    assert [process.exitcode for process in copies] == [0, 0]
    (alarm,) = store.alarms()
    assert alarm.times == 10
    assert events(store) == ["raised", *["repeated"] * 9]
    assert len(titles(store)) == 1


def test_a_writer_that_dies_leaves_all_of_a_change_or_nothing(store, monkeypatch):
    store.signal(decayed(0), now=NOON)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("include.alarms.store._add_notice", die)
    with pytest.raises(KeyboardInterrupt):
        quiet(store, 1, NOON + HOUR)
    assert store.alarm(1).state == "open"
    assert events(store) == ["raised"]


def test_a_database_that_is_damaged_is_named_with_what_to_do(tmp_path, store):
    store.signal(decayed(0), now=NOON)
    path = settings_in(tmp_path).alarms_path
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(AlarmError, match=r"alarms\.db cannot be used: .*it holds alarms alone"):
        store.alarms()
