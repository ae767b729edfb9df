"""A container's health, asked of a real server."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cli.images.healthcheck import main, problem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def answers():
    """What each path answers, and the server's address."""
    paths: dict[str, tuple[int, object]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = paths[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield paths, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def report(**changes) -> dict[str, object]:
    """What Airflow says of its scheduler."""
    beat = "2026-03-01T11:59:30+00:00"
    return {"scheduler": {"status": "healthy", "latest_scheduler_heartbeat": beat, **changes}}


def test_an_address_that_answers_is_well(answers):
    paths, address = answers
    paths["/livez"] = (200, "")
    assert problem(f"{address}/livez") is None
    assert main([f"{address}/livez"]) == 0


def test_what_is_wrong_is_said(answers, capsys):
    paths, address = answers
    paths["/livez"] = (503, "")
    assert main([f"{address}/livez"]) == 1
    assert "answers 503" in capsys.readouterr().err
    assert "no answer" in problem("http://127.0.0.1:1/livez")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (report(), None),
        (report(status="unhealthy"), "scheduler is unhealthy"),
        (report(latest_scheduler_heartbeat=None), "its last heartbeat None"),
        (report(latest_scheduler_heartbeat="2026-03-01T11:58:00+00:00"), "is 120 s old"),
        ({"triggerer": {}}, "does not report scheduler"),
        ("a proxy's page", "does not report scheduler"),
    ],
)
def test_a_component_is_well_by_its_heartbeat(answers, body, expected):
    paths, address = answers
    paths["/health"] = (200, body)
    reason = problem(f"{address}/health", "scheduler", NOW)
    assert reason is None if expected is None else expected in reason
