import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.platform.health import check, check_elsewhere
from cli.platform.processes import Process
from cli.platform.supervision import ProcessState
from include.settings.services import Neighbour

NOW = datetime.now(UTC)


class Server(ThreadingHTTPServer):
    """A server with its address, what it answers (path -> status, body) and what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    """Serves what the test put into `server.answers`."""

    server: Server

    def do_GET(self):
        self.server.asked.append(self.path)
        status, body = self.server.answers[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def process(server, name="mlflow", component=None):
    return Process(name, (), {}, 1, Path("log"), f"{server.url}/health", component=component)


def running(name="mlflow", state="RUNNING"):
    return {name: ProcessState(name, state, 1, NOW, "")}


def heartbeat(status, beat):
    return 200, json.dumps({"scheduler": {"status": status, "latest_scheduler_heartbeat": beat}})


def test_a_process_that_answers_is_well(server):
    server.answers["/health"] = 200, "OK"
    assert check([process(server)], running())["mlflow"].ok


def test_an_error_from_the_process_is_reported(server):
    server.answers["/health"] = 503, ""
    verdict = check([process(server)], running())["mlflow"]
    assert not verdict.ok
    assert "503" in verdict.reason


def test_nobody_listening_is_reported(server):
    nobody = Process("mlflow", (), {}, 1, Path("log"), "http://127.0.0.1:9/health")
    assert "no answer" in check([nobody], running())["mlflow"].reason


def test_a_stranger_on_the_port_does_not_make_a_dead_process_well(server):
    server.answers["/health"] = 200, "OK"
    assert check([process(server)], running(state="BACKOFF"))["mlflow"].reason == "backoff"
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "beat", "ok"),
    [
        ("healthy", (NOW + timedelta(seconds=5)).isoformat(), True),
        ("healthy", (NOW - timedelta(seconds=5)).isoformat(), False),
        ("unhealthy", (NOW + timedelta(seconds=5)).isoformat(), False),
        ("healthy", None, False),
    ],
)
def test_a_component_is_well_by_a_heartbeat_of_this_start(server, status, beat, ok):
    server.answers["/health"] = heartbeat(status, beat)
    scheduler = process(server, "airflow-scheduler", "scheduler")
    assert check([scheduler], running("airflow-scheduler"))["airflow-scheduler"].ok is ok


def test_an_address_that_several_depend_on_is_asked_once(server):
    server.answers["/health"] = heartbeat("healthy", (NOW + timedelta(seconds=5)).isoformat())
    processes = [
        process(server, "airflow-api-server"),
        process(server, "airflow-scheduler", "scheduler"),
    ]
    check(processes, {**running("airflow-api-server"), **running("airflow-scheduler")})
    assert server.asked == ["/health"]


def test_a_database_that_lets_nobody_in_is_reported(tmp_path):
    options = {"host": str(tmp_path), "port": "5432", "user": "me", "dbname": "postgres"}
    database = Process("airflow-database", (), {}, 1, Path("log"), database=options)
    verdict = check([database], running("airflow-database"))["airflow-database"]
    assert not verdict.ok
    assert "No such file" in verdict.reason


def test_services_elsewhere_are_asked_at_their_addresses(server):
    server.answers = {"/health": (200, "OK"), "/healthz": (503, "")}
    closed = Neighbour("airflow", "http://127.0.0.1:9", needed=False)
    mlflow = Neighbour("mlflow", f"{server.url}/", needed=True)
    serving = Neighbour("serving", server.url, needed=True)
    verdicts = check_elsewhere([mlflow, serving, closed])
    assert server.asked == ["/health", "/healthz"]
    assert verdicts[mlflow].ok
    assert verdicts[serving].reason == f"{server.url}/healthz answers 503"
    assert verdicts[closed].reason.startswith("no answer from http://127.0.0.1:9/api/v2/monitor")


def test_a_process_that_nobody_asks_is_well_while_it_runs():
    shipper = Process("ship", ("true",), {}, 420, Path("ship.log"))
    assert check([shipper], {"ship": ProcessState("ship", "RUNNING", 7, NOW, "")})["ship"].ok
    assert not check([shipper], {"ship": ProcessState("ship", "BACKOFF", 0, None, "")})["ship"].ok
