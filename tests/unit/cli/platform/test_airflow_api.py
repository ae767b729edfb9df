"""The client of Airflow's API against a server that answers as Airflow does on SQLite."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.platform import airflow_api
from cli.platform.airflow_api import AirflowApi, why_missing
from include.errors import PlatformError
from include.settings import load_settings

FIRST, LAST = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 12, 1, tzinfo=UTC)
LOCKED = {"detail": "Database is locked. Backfill creation is not supported on SQLite."}


class LockedAirflow(ThreadingHTTPServer):
    """It fails as often as `failures` says, and stores a back-fill all the same."""

    def __init__(self, failures: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.failures = failures
        self.backfills: list[dict[str, Any]] = []


class _Answers(BaseHTTPRequestHandler):
    server: LockedAirflow

    def do_GET(self) -> None:
        backfills = self.server.backfills
        self._answer(200, {"backfills": backfills, "total_entries": len(backfills)})

    def do_PUT(self) -> None:
        number = int(self.path.split("/")[-2])
        self.server.backfills[number - 1]["completed_at"] = FIRST.isoformat()
        self._answer(200, self.server.backfills[number - 1])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        backfills = self.server.backfills
        if self.path == "/auth/token":
            self._answer(201, {"access_token": "a"})
        elif any(one["completed_at"] is None for one in backfills):
            self._answer(409, {"detail": "There is already a running backfill"})
        else:
            backfills.append({"id": len(backfills) + 1, "completed_at": None})
            failed = len(backfills) <= self.server.failures
            self._answer(503 if failed else 200, LOCKED if failed else backfills[-1])

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def airflow(request: pytest.FixtureRequest) -> Iterator[LockedAirflow]:
    server = LockedAirflow(request.param)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(
    airflow: LockedAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AirflowApi]:
    monkeypatch.setattr(airflow_api, "PAUSE_SECONDS", 0.0)
    port = str(airflow.server_address[1])
    variables = {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_AIRFLOW_PORT": port}
    with AirflowApi(load_settings(variables)) as api:
        yield api


@pytest.mark.parametrize("airflow", [2], indirect=True)
def test_a_half_made_back_fill_is_taken_back_before_the_next_try(airflow, api):
    """What a failed call had left was answered as the back-fill, though months of it lacked."""
    assert api.backfill("a__features", FIRST, LAST) == 3
    assert [one["completed_at"] is None for one in airflow.backfills] == [False, False, True]


@pytest.mark.parametrize("airflow", [0], indirect=True)
def test_a_back_fill_that_is_under_way_is_left_alone_and_returned(airflow, api):
    assert api.backfill("a__features", FIRST, LAST) == 1
    assert api.backfill("a__features", FIRST, LAST) == 1
    assert [one["completed_at"] for one in airflow.backfills] == [None]


@pytest.mark.parametrize("airflow", [9], indirect=True)
def test_a_database_that_stays_locked_is_named_and_nothing_is_left(airflow, api):
    with pytest.raises(PlatformError, match=r"Airflow answers 503 .* Database is locked"):
        api.backfill("a__features", FIRST, LAST)
    assert all(one["completed_at"] for one in airflow.backfills)


REFUSED = """Traceback (most recent call last):
  File "/home/ada/dags/a.py", line 6, in <module>
    globals().update(build_all(USE_CASE))
  File "/home/ada/include/processes/declarations.py", line 75, in require_possible
    raise SpecError(lines)
include.errors.SpecError: include/use_cases/a/spec.py: the first.
include/use_cases/a/spec.py: the second.
"""
NO_PYTHON = """Traceback (most recent call last):
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/home/ada/dags/b.py", line 9
    def (
        ^
SyntaxError: invalid syntax
"""


def test_a_dag_is_missed_for_the_error_of_its_own_file():
    traces = {"a.py": REFUSED, "b.py": NO_PYTHON}
    assert why_missing("a__training", traces) == (
        "dags/a.py: line 6: include.errors.SpecError: include/use_cases/a/spec.py: the first.\n"
        "include/use_cases/a/spec.py: the second."
    )
    assert why_missing("b__training", traces) == "dags/b.py: line 9: SyntaxError: invalid syntax"
    both = why_missing("c__training", traces).splitlines()
    assert [line.partition(": ")[0] for line in both if line.startswith("dags/")] == [
        "dags/a.py",
        "dags/b.py",
    ]
    assert why_missing("c__training", {}).startswith("no DAG file defines it")
