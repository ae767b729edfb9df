"""The same alarms in PostgreSQL, beside the release ledger: writers at once, and sending."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from include.alarms.outbox import send_waiting
from include.alarms.store import AlarmStore
from include.errors import AlarmError
from proofs.harness.store_servers import PASSWORD, PostgresServer
from tests.unit.alarms.receivers import webhook
from tests.unit.alarms.samples import NOON, decayed, happened, settings_in, window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


def test_writers_at_once_leave_one_alarm_that_is_sent_closed_and_kept_in_order(server, tmp_path):
    (tmp_path / "sinks.toml").write_text('[hook]\naddress_file = "hook.url"\n')
    settings = settings_in(
        tmp_path,
        FLIGHTDECK_LEDGER_URL=server.url,
        FLIGHTDECK_ALARM_SINKS=str(tmp_path / "sinks.toml"),
    )
    store = AlarmStore(settings)
    assert store.alarms() == []

    def storm() -> None:
        for number in range(10):
            AlarmStore(settings).signal(happened(run=f"deployment/{number}"))

    copies = [threading.Thread(target=storm) for _ in range(3)]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join(60)
    assert [(alarm.number, alarm.times) for alarm in store.alarms()] == [(1, 10)]
    decay = store.signal(decayed(0))
    store.quiet(decay.key, window=window(1), actor="monitoring/day_1", reason="quiet")
    with webhook() as hook:
        (tmp_path / "hook.url").write_text(f"json://127.0.0.1:{hook.port}/alarms")
        assert send_waiting(settings)[0].sent == 3
    assert [body["type"] for body in hook.bodies] == ["failure", "failure", "success"]
    assert not settings.alarms_path.exists()


def test_a_server_that_is_away_is_named_without_its_password(tmp_path):
    url = f"postgresql://flightdeck:{PASSWORD}@127.0.0.1:1/none"
    store = AlarmStore(settings_in(tmp_path, FLIGHTDECK_LEDGER_URL=url))
    with pytest.raises(AlarmError, match="cannot be used: ") as raised:
        store.signal(happened(), now=NOON)
    assert PASSWORD not in str(raised.value)
