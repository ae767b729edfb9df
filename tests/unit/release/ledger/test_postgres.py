"""The same ledger in PostgreSQL: rows, order, triggers, attacks, several writers, a server that is
away.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from include.errors import LateStep, LedgerBroken, ReleaseError
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.harness.store_servers import PASSWORD, PostgresServer
from tests.unit.release.ledger.ledger_files import promote, promote_all

pytestmark = pytest.mark.slow
APPENDER = """
import sys
from include.release.ledger import Ledger
from include.settings import load_settings
for number in range(10):
    values = ("flight_delays", number + 1, "d", "test", "r", {})
    Ledger(load_settings()).append("promoted", *values)
"""
RUN = {"run": {"process": "deployment", "run_id": "manual__1"}}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture
def settings(server: PostgresServer, tmp_path: Path) -> Settings:
    server.clear()
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_LEDGER_URL": server.url})


def execute(server: PostgresServer, *statements: str) -> None:
    """As the table's owner, who may take triggers away."""
    with psycopg.connect(server.url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_rows_are_chained_ordered_and_written_once(settings: Settings) -> None:
    ledger = Ledger(settings)
    first = promote(ledger, 1)
    values = ("flight_delays", 2, "digest-2", "somebody", "because ä", RUN)
    second = ledger.append("promoted", *values, after=first.number)
    assert Ledger(settings).append("promoted", *values, after=first.number) == second
    with pytest.raises(LateStep):
        ledger.append("promoted", "flight_delays", 3, "d", "a", "r", {}, after=first.number)
    assert ledger.rows() == [first, second]
    assert ledger.traffic("flight_delays").champion.version == 2
    assert ledger.verify_new().number == 2
    assert not settings.ledger_path.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE release_ledger SET version = 7",
        "DELETE FROM release_ledger",
        "TRUNCATE release_ledger",
    ],
)
def test_sql_cannot_change_or_delete_a_row(
    settings: Settings, server: PostgresServer, statement: str
) -> None:
    promote(Ledger(settings), 1)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        execute(server, statement)


@pytest.mark.parametrize(
    ("statement", "kind", "row"),
    [
        ("UPDATE release_ledger SET version = 7 WHERE number = 2", "edited", 2),
        ("DELETE FROM release_ledger WHERE number = 2", "removed", 2),
        ("DELETE FROM release_ledger WHERE number > 2", "tail cut", 3),
        ("TRUNCATE release_ledger", "deleted", 0),
        ("DROP TABLE release_ledger", "deleted", 0),
    ],
)
def test_an_attack_by_the_owner_of_the_table_is_named(
    settings: Settings, server: PostgresServer, statement: str, kind: str, row: int
) -> None:
    promote_all(Ledger(settings), (1, 2, 3))
    execute(server, "ALTER TABLE release_ledger DISABLE TRIGGER ALL", statement)
    with pytest.raises(LedgerBroken) as error:
        Ledger(settings).verify()
    assert (error.value.kind, error.value.row) == (kind, row)


def test_processes_that_append_at_once_keep_one_chain(settings: Settings) -> None:
    environment = {
        "FLIGHTDECK_HOME": str(settings.home),
        "FLIGHTDECK_LEDGER_URL": settings.ledger_url or "",
    }
    writers = [
        subprocess.Popen([sys.executable, "-c", APPENDER], cwd=PROJECT_ROOT, env=environment)
        for _ in range(2)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert Ledger(settings).verify().number == 20


def test_a_server_that_is_away_is_named_without_its_password(
    settings: Settings, server: PostgresServer
) -> None:
    promote(Ledger(settings), 1)
    server.stop()
    try:
        with pytest.raises(ReleaseError, match="cannot be used") as error:
            Ledger(settings).verify()
        assert not isinstance(error.value, LedgerBroken)
        for secret in (PASSWORD, quote(PASSWORD, safe="")):
            assert secret not in str(error.value)
            assert secret not in repr(settings)
    finally:
        server.start()
    assert Ledger(settings).verify().number == 1
