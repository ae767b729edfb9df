"""What people are told, and what they could not be told yet: each sink goes through the notices in
their order, one at a time, and stands still where one cannot be sent.

How far a sink is, is one row. Whoever sends claims it first, so that two copies do not send the
same. A sender that is killed after the receiver took a notice and before that was written down is
the one case in which a notice is sent twice.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from include.alarms.records import Notice, clock
from include.alarms.sinks import Sink, read_sinks, send
from include.alarms.store import AlarmStore
from include.alarms.tables import NOTICES, SINKS, AlarmTables
from include.errors import AlarmError
from include.settings import Settings

LOG = logging.getLogger(__name__)

CLAIM = timedelta(minutes=2)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
MOST_DOUBLINGS = 10
MOST_SECONDS = timedelta(seconds=60)
"""After so long a call sends no further notice: what is left is for the next one."""
NEW_SINK = timedelta(days=1)
"""A sink that is new gets the notices of so long before."""
STALE = timedelta(days=7)
"""A notice that could not be sent for so long is passed over: nobody acts on it any more."""
LONG_AGO = ""

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class SinkState:
    """How far a sink is: its name, the notices that wait, and why, if the last try failed."""

    name: str
    sent: int
    waiting: int
    failures: int = 0
    error: str = ""
    next_at: str = ""


@dataclass(frozen=True)
class _Claimed:
    notice: Notice
    token: str
    failures: int


def send_waiting(settings: Settings, *, now: Clock = clock) -> list[SinkState]:
    """Send what waits, as far as the sinks take it; a state for each sink.

    A sink that fails is left alone for a while that doubles. Raises `AlarmError` and
    `SettingsError`; what a receiver answers is never an error.
    """
    sinks, store = read_sinks(settings), AlarmStore(settings)
    with store.tables.reading() as connection:
        if connection is None or not sinks:
            return []
    store.tell_postponed(now())
    began = now()
    return [_send_all(store.tables, sink, now, began) for sink in sinks]


def sink_states(settings: Settings, *, now: Clock = clock) -> list[SinkState]:
    """How far each sink is, sending nothing. Raises `AlarmError` and `SettingsError`."""
    tables = AlarmTables(settings)
    with tables.reading() as connection:
        if connection is None:
            return [SinkState(sink.name, 0, 0) for sink in read_sinks(settings)]
        return [_state(connection, sink, now(), 0) for sink in read_sinks(settings)]


def _send_all(tables: AlarmTables, sink: Sink, now: Clock, began: datetime) -> SinkState:
    sent = 0
    while now() - began <= MOST_SECONDS:
        claimed = _claim(tables, sink, now())
        if claimed is None:
            break
        error = send(sink, claimed.notice)
        _finish(tables, sink, claimed, error, now())
        if error is not None:
            LOG.warning("Notice %s is not sent to %s: %s", claimed.notice.number, sink.name, error)
            break
        sent += 1
    with tables.reading() as connection:
        if connection is None:
            raise AlarmError("The tables of the alarms are gone while they were sent.")
        return _state(connection, sink, now(), sent)


def _claim(tables: AlarmTables, sink: Sink, now: datetime) -> _Claimed | None:
    """Claim the sink's oldest notice; `None` where none waits, it is too early to try again, or
    somebody else is sending.
    """
    moment = now.isoformat()
    with tables.reading() as connection:
        # Most calls have nothing to send, and then nobody has to wait for the right to write.
        if connection is None or not _waiting(connection, sink, now):
            return None
    with tables.writing() as connection:
        row = _row(connection, sink, now)
        if row.next_at > moment or row.claimed_until > moment:
            return None
        waiting = _waiting(connection, sink, now)
        if not waiting:
            return None
        token = secrets.token_hex(8)
        _set(connection, sink, claim=token, claimed_until=(now + CLAIM).isoformat())
        return _Claimed(waiting[0], token, row.failures)


def _finish(
    tables: AlarmTables, sink: Sink, claimed: _Claimed, error: str | None, now: datetime
) -> None:
    """Write down what became of a notice, unless another sender has taken over since."""
    with tables.writing() as connection:
        if _row(connection, sink, now).claim != claimed.token:
            return
        free = {"claim": "", "claimed_until": LONG_AGO}
        if error is None:
            done = {"done": claimed.notice.number, "failures": 0, "error": "", "next_at": LONG_AGO}
            _set(connection, sink, **done, **free)
        else:
            failures = claimed.failures + 1
            next_at = (now + pause_after(failures)).isoformat()
            _set(connection, sink, failures=failures, error=error, next_at=next_at, **free)


def pause_after(failures: int) -> timedelta:
    """How long a sink is left alone after so many failures in a row."""
    return min(FIRST_PAUSE * (1 << min(failures - 1, MOST_DOUBLINGS)), LONGEST_PAUSE)


@dataclass(frozen=True)
class _Row:
    done: int
    failures: int
    error: str
    next_at: str
    claim: str
    claimed_until: str


def _row(connection: Connection, sink: Sink, now: datetime) -> _Row:
    """The sink's row, made at its first notice."""
    stored = _stored(connection, sink)
    if stored is not None:
        return stored
    first = _Row(_begin(connection, now), 0, "", LONG_AGO, "", LONG_AGO)
    connection.execute(SINKS.insert(), {"name": sink.name, **vars(first)})
    return first


def _stored(connection: Connection, sink: Sink) -> _Row | None:
    columns = [SINKS.c[name] for name in _Row.__dataclass_fields__]
    row = connection.execute(select(*columns).where(SINKS.c.name == sink.name)).first()
    return None if row is None else _Row(*row)


def _begin(connection: Connection, now: datetime) -> int:
    """The newest notice that a new sink does not get."""
    since = (now - NEW_SINK).isoformat()
    statement = select(func.max(NOTICES.c.number)).where(NOTICES.c.at < since)
    return connection.execute(statement).scalar() or 0


def _waiting(connection: Connection, sink: Sink, now: datetime) -> list[Notice]:
    """The notices that the sink has to send, oldest first."""
    stored = _stored(connection, sink)
    done = _begin(connection, now) if stored is None else stored.done
    since = (now - STALE).isoformat()
    statement = (
        select(NOTICES.c.number, NOTICES.c.content)
        .where(NOTICES.c.number > done, NOTICES.c.at >= since)
        .order_by(NOTICES.c.number)
    )
    notices = [
        Notice.model_validate_json(row.content).model_copy(update={"number": row.number})
        for row in connection.execute(statement)
    ]
    return [notice for notice in notices if sink.takes(notice)]


def _set(connection: Connection, sink: Sink, **values: object) -> None:
    connection.execute(update(SINKS).where(SINKS.c.name == sink.name).values(**values))


def _state(connection: Connection, sink: Sink, now: datetime, sent: int) -> SinkState:
    waiting = len(_waiting(connection, sink, now))
    row = _stored(connection, sink)
    if row is None:
        return SinkState(sink.name, sent, waiting)
    return SinkState(sink.name, sent, waiting, row.failures, row.error, row.next_at)
