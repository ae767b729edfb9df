"""The log of an endpoint that shares no disk with the platform reaches the tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.application import invoke
from include.errors import SpecError
from include.inference_log.log import ship
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import WRITER, Writer, answered, told

pytestmark = pytest.mark.slow
LOG = "flight_delays/inference_log"


@pytest.fixture
def platform(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(tmp_path / "platform")})


@pytest.fixture
def endpoint(platform: Settings, tmp_path: Path) -> Settings:
    """An endpoint with a home of its own, and the platform's tables."""
    return load_settings(
        {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(tmp_path / "endpoint"),
            "FLIGHTDECK_TABLES_URI": platform.tables_uri,
        }
    )


def shipped(settings: Settings) -> list[str]:
    tables = TableStore(settings.tables_uri)
    return tables.read(LOG)["prediction_id"].to_list() if tables.exists(LOG) else []


def test_answers_and_feedback_of_two_hosts_come_once(platform, endpoint, tmp_path, capsys):
    other = endpoint.model_copy(update={"home": tmp_path / "other"})
    rows = {}
    for host in (endpoint, other):
        writer = Writer(host)
        rows[host.home] = answered(5)
        writer.write(rows[host.home])
        first = rows[host.home][0].prediction_id
        writer.spool.append_feedback([told(first)], journaled=[first])
        writer.close()
    for host in (endpoint, other, endpoint):
        assert invoke(["ship"], host) == 0
    assert "flight_delays" in capsys.readouterr().out
    ids = [row.prediction_id for answers in rows.values() for row in answers]
    assert sorted(shipped(platform)) == sorted(ids)
    feedback = TableStore(platform.tables_uri).read("flight_delays/feedback")
    assert sorted(feedback["prediction_id"]) == sorted(
        answers[0].prediction_id for answers in rows.values()
    )
    # The platform's own collection has nothing to move, and reads what came.
    assert ship(platform, "flight_delays") == {"shipped": 0, "total": 10, "offset": -1}


def test_tables_that_cannot_be_written_keep_the_rows_and_are_named(platform, endpoint, capsys):
    writer = Writer(endpoint)
    rows = answered(3)
    writer.write(rows)
    writer.close()
    tables = Path(platform.tables_uri)
    tables.parent.mkdir(parents=True, exist_ok=True)
    tables.write_text("in the way")
    assert invoke(["ship", "flight_delays"], endpoint) == 1
    assert "not shipped" in capsys.readouterr().out
    tables.unlink()
    assert invoke(["ship", "flight_delays"], endpoint) == 0
    assert shipped(platform) == [row.prediction_id for row in rows]


def test_a_use_case_that_is_not_there_is_named_with_the_nearest(endpoint):
    with pytest.raises(SpecError, match=r"flight_delay'.*flight_delays"):
        invoke(["ship", "flight_delay"], endpoint)


@contextmanager
def running(settings: Settings, *command: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "FLIGHTDECK_ENV": "test",
        "FLIGHTDECK_HOME": str(settings.home),
        "FLIGHTDECK_TABLES_URI": settings.tables_uri,
    }
    with subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_shipper_that_is_killed_loses_nothing_and_the_next_ships_to_the_last_row(
    platform, endpoint
):
    shipper = ("-m", "cli", "ship", "flight_delays", "--every", "1")
    with running(endpoint, "-c", WRITER, str(endpoint.home), "0.05") as writer:
        with running(endpoint, *shipper) as first:
            deadline = time.monotonic() + 60
            while not shipped(platform):
                assert time.monotonic() < deadline, first.stderr.read()
                time.sleep(0.1)
            first.kill()
        with running(endpoint, *shipper) as second:
            before = len(shipped(platform))
            while len(shipped(platform)) == before:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            writer.kill()
            acknowledged = writer.stdout.read().split()
            second.send_signal(signal.SIGTERM)
            _, errors = second.communicate(timeout=60)
            assert second.returncode == 0, errors
    ids = shipped(platform)
    assert set(acknowledged) <= set(ids)
    assert len(ids) == len(set(ids))
    assert len(ids) > before
