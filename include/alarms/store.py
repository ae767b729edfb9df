"""The alarms of a home: raised, repeated, closed, opened again, acknowledged.

Every change is one transaction with its row of the history and the notice that people get, so that
two copies of a run, and a power cut, leave one of each or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, select, update

from include.alarms.decisions import (
    Change,
    acknowledged,
    after_quiet,
    after_signal,
    closed,
    postponed,
)
from include.alarms.message import body_of, subject_of
from include.alarms.records import Alarm, Happening, Key, Notice, Signal, clock
from include.alarms.tables import ALARMS, HISTORY, NOTICES, AlarmTables
from include.errors import AlarmError
from include.interval import Interval
from include.settings import Settings

SHORTEST_REASON = 3


class AlarmStore:
    """Reads and changes the alarms of a home; safe for several processes at once."""

    def __init__(self, settings: Settings) -> None:
        self.tables = AlarmTables(settings)

    def signal(self, signal: Signal, *, now: datetime | None = None) -> Alarm:
        """Raise, repeat or open again the alarm that the signal is about, and return it.

        The same signal again changes nothing. Raises `AlarmError`.
        """
        moment = now or clock()
        with self.tables.writing() as connection:
            current = _alarm(connection, signal.key)
            if current is not None and _is_repeated(connection, current, signal):
                return current
            change = after_signal(current, signal, moment)
            if change is None and current is not None:
                return current
            reason = signal.reason
            return _write(connection, change, moment, signal.run, reason, once=signal.once)

    def quiet(
        self,
        key: Key,
        *,
        actor: str,
        reason: str,
        window: Interval | None = None,
        now: datetime | None = None,
    ) -> Alarm | None:
        """Close an open alarm, for what was wrong is not there any more; `None` where nothing had
        to be closed. Raises `AlarmError`.
        """
        moment = now or clock()
        if not self.open_alarms(key):
            return None
        with self.tables.writing() as connection:
            current = _alarm(connection, key)
            change = current and after_quiet(
                current, window=window, actor=actor, reason=reason, now=moment
            )
            return _write(connection, change, moment, actor, reason) if change else None

    def acknowledge(
        self, number: int, *, actor: str, reason: str, now: datetime | None = None
    ) -> Alarm:
        """Note that a person works on an alarm. Raises `AlarmError` where it is closed."""
        moment = now or clock()
        with self.tables.writing() as connection:
            alarm = _numbered(connection, number)
            if not alarm.is_open:
                raise AlarmError(f"Alarm {number} is closed: {alarm.changed_because}.")
            change = acknowledged(alarm, actor=actor, reason=_typed(reason), now=moment)
            return _write(connection, change, moment, actor, reason)

    def close(self, number: int, *, actor: str, reason: str, now: datetime | None = None) -> Alarm:
        """Close an alarm in a person's name; it opens again when it returns.

        Raises `AlarmError` where it is closed.
        """
        moment = now or clock()
        with self.tables.writing() as connection:
            alarm = _numbered(connection, number)
            if not alarm.is_open:
                raise AlarmError(f"Alarm {number} is closed already: {alarm.changed_because}.")
            change = closed(alarm, actor=actor, reason=_typed(reason), now=moment, tell=False)
            return _write(connection, change, moment, actor, reason)

    def note(self, key: Key, *, actor: str, reason: str, once: str, now: datetime) -> None:
        """Write into the history of an open alarm what was done about it, once."""
        if not self.open_alarms(key):
            return
        with self.tables.writing() as connection:
            alarm = _alarm(connection, key)
            if alarm is not None and not _is_in_history(connection, once):
                _write(connection, Change(alarm, "noted", tell=False), now, actor, reason, once)

    def tell_postponed(self, now: datetime) -> int:
        """Make the notices that a cool-down, which is over now, has held back; how many."""
        if not any(postponed(alarm, now) for alarm in self.alarms(is_open=True)):
            return 0
        with self.tables.writing() as connection:
            due = [postponed(alarm, now) for alarm in _alarms(connection, is_open=True)]
            for alarm in filter(None, due):
                _update(connection, alarm)
                _add_notice(connection, alarm, now)
            return sum(alarm is not None for alarm in due)

    def alarms(self, *, use_case: str | None = None, is_open: bool | None = None) -> list[Alarm]:
        """The alarms that fulfil both conditions, the newest signal first."""
        with self.tables.reading() as connection:
            if connection is None:
                return []
            rows = _alarms(connection, use_case=use_case, is_open=is_open)
        return sorted(rows, key=lambda alarm: alarm.raised_at, reverse=True)

    def open_alarms(self, key: Key) -> list[Alarm]:
        """The open alarm with this key, if there is one."""
        with self.tables.reading() as connection:
            alarm = None if connection is None else _alarm(connection, key)
        return [alarm] if alarm is not None and alarm.is_open else []

    def alarm(self, number: int) -> Alarm:
        """The alarm with this number. Raises `AlarmError`."""
        with self.tables.reading() as connection:
            if connection is None:
                raise AlarmError(f"There is no alarm {number}: none has been raised yet.")
            return _numbered(connection, number)

    def history(self, number: int) -> list[Happening]:
        """What happened to an alarm, oldest first."""
        statement = select(HISTORY.c.content).where(HISTORY.c.alarm == number)
        with self.tables.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(statement.order_by(HISTORY.c.number)).scalars()
            return [Happening.model_validate_json(row) for row in rows]


def _is_repeated(connection: Connection, alarm: Alarm, signal: Signal) -> bool:
    """Whether the same signal was taken before.

    A window may be judged again by the same run, quiet in between; its newest row decides.
    """
    if signal.window is None:
        return _is_in_history(connection, signal.once)
    newest = (
        select(HISTORY.c.once)
        .where(HISTORY.c.alarm == alarm.number)
        .order_by(HISTORY.c.number.desc())
    )
    return connection.execute(newest.limit(1)).scalar() == signal.once


def _is_in_history(connection: Connection, once: str) -> bool:
    statement = select(HISTORY.c.number).where(HISTORY.c.once == once).limit(1)
    return connection.execute(statement).first() is not None


def _write(
    connection: Connection,
    change: Change | None,
    now: datetime,
    actor: str,
    reason: str,
    once: str | None = None,
) -> Alarm:
    """Write the alarm, its history and, where people are told, the notice."""
    if change is None:
        raise AlarmError("A first signal always raises an alarm; run the task again.")
    alarm = change.alarm if change.alarm.number else _insert(connection, change.alarm)
    _update(connection, alarm)
    happening = Happening(at=now, event=change.event, actor=actor, reason=reason)
    row = {"alarm": alarm.number, "once": once, "content": happening.model_dump_json()}
    connection.execute(HISTORY.insert(), row)
    if change.tell:
        _add_notice(connection, alarm, now)
    return alarm


def _insert(connection: Connection, alarm: Alarm) -> Alarm:
    row = {**alarm.key.model_dump(), "is_open": True, "content": ""}
    inserted = connection.execute(ALARMS.insert(), row).inserted_primary_key
    if inserted is None:
        raise AlarmError("The database gives no number to a new alarm.")
    return alarm.model_copy(update={"number": int(inserted[0])})


def _update(connection: Connection, alarm: Alarm) -> None:
    values = {"is_open": alarm.is_open, "content": alarm.model_dump_json()}
    connection.execute(update(ALARMS).where(ALARMS.c.number == alarm.number).values(values))


def _add_notice(connection: Connection, alarm: Alarm, now: datetime) -> None:
    notice = Notice(
        number=0,
        alarm=alarm.number,
        key=alarm.key,
        severity=alarm.severity,
        owner=alarm.owner,
        sinks=alarm.sinks,
        at=now,
        title=subject_of(alarm),
        body=body_of(alarm),
        is_open=alarm.is_open,
    )
    row = {"at": now.isoformat(), "content": notice.model_dump_json()}
    connection.execute(NOTICES.insert(), row)


def _alarm(connection: Connection, key: Key) -> Alarm | None:
    column = ALARMS.c
    statement = select(column.content).where(
        column.use_case == key.use_case,
        column.kind == key.kind,
        column.subject == key.subject,
    )
    return _parsed(connection.execute(statement).first())


def _numbered(connection: Connection, number: int) -> Alarm:
    statement = select(ALARMS.c.content).where(ALARMS.c.number == number)
    alarm = _parsed(connection.execute(statement).first())
    if alarm is None:
        raise AlarmError(f"There is no alarm {number}; `flightdeck alarms list --all` shows them.")
    return alarm


def _alarms(
    connection: Connection, *, use_case: str | None = None, is_open: bool | None = None
) -> list[Alarm]:
    statement = select(ALARMS.c.content).order_by(ALARMS.c.number)
    if use_case is not None:
        statement = statement.where(ALARMS.c.use_case == use_case)
    if is_open is not None:
        statement = statement.where(ALARMS.c.is_open == is_open)
    return _all_parsed(connection.execute(statement).all())


def _all_parsed(rows: Sequence[Row[tuple[str]]]) -> list[Alarm]:
    return [Alarm.model_validate_json(row.content) for row in rows]


def _parsed(row: Row[tuple[str]] | None) -> Alarm | None:
    return None if row is None else Alarm.model_validate_json(row.content)


def _typed(reason: str) -> str:
    if len(reason.strip()) < SHORTEST_REASON:
        raise AlarmError("Say why in a few words: --reason 'the source is repaired'.")
    return reason.strip()
