"""The endpoint as `flightdeck serve` runs it: the same answers, and what it must survive."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from cli.endpoint.serve import check_port
from include.errors import PlatformError
from include.model.package import golden_columns, load_model
from include.release.model_store import set_desired
from proofs.harness.endpoint import Endpoint
from proofs.harness.logged import logged_rows
from proofs.harness.ports import free_port
from proofs.harness.traffic import predict
from proofs.harness.world import World
from serving.http.protocol import HEADER_SECONDS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Endpoint]:
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    with Endpoint(world.settings) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


def logged(world: World) -> set[str]:
    return set(logged_rows(world.settings)["prediction_id"])


def test_answers_health_and_metrics_are_there(server: Endpoint, world: World):
    answer = server.predict(world.rows[:5])
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert {prediction["prediction_id"] for prediction in predictions} <= logged(world)
    assert [server.client.get(path).status_code for path in ("/livez", "/readyz", "/healthz")] == [
        200,
        200,
        200,
    ]
    assert server.client.get("/nothing").json()["error"]["code"] == "not_found"
    metrics = server.client.get("/metrics").text
    assert 'flightdeck_predictions_total{use_case="flight_delays",version="1"}' in metrics
    assert 'flightdeck_engine{engine="onnxruntime",use_case="flight_delays"} 1.0' in metrics


def test_a_worker_that_serves_a_booster_does_without_scikit_learn(server: Endpoint):
    """It would take a quarter of the time of its start, and 60 MB."""
    mapped = [file.path for file in server.worker().memory_maps()]
    assert [path for path in mapped if path.endswith("libxgboost.so")]
    assert not [path for path in mapped if "/sklearn/" in path]


def test_scores_are_those_of_the_package(server: Endpoint, world: World):
    model = load_model(world.packages[1])
    golden = model.golden["rows"]
    names = [name for name in golden_columns(model.transform, golden) if "__" in name]
    rows = [
        {
            **{name: value for name, value in row.items() if "__" not in name},
            "features": {name: row[name] for name in names},
        }
        for row in golden
    ]
    given = [
        {
            name: row.get(name)
            for name in (
                *world.use_case.serving.entity_keys,
                "scheduled_departure",
                "asked_at",
                "features",
            )
        }
        for row in rows
    ]
    answer = server.predict(given)
    assert answer.status_code == 200, answer.text
    scores = [prediction["probability"] for prediction in answer.json()["predictions"]]
    assert scores == pytest.approx(model.golden["scores"], abs=1e-6)


def test_a_second_endpoint_on_the_same_port_is_refused(server: Endpoint):
    with pytest.raises(PlatformError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        check_port("127.0.0.1", server.port)
    check_port("127.0.0.1", free_port())


def test_a_worker_is_started_anew_however_often_it_is_killed(server: Endpoint, world: World):
    killed = set()
    for _ in range(3):
        worker = server.worker()
        killed.add(worker.pid)
        worker.kill()
        worker.wait(timeout=10)
        server.wait_for("/readyz")
    assert server.worker().pid not in killed
    assert len(killed) == 3
    assert server.predict(world.rows[:1]).status_code == 200


def test_sigterm_answers_what_was_asked_and_loses_nothing(world: World):
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    server = Endpoint(world.settings)
    server.start()
    server.wait_for("/readyz")
    answered: list[str] = []
    strange: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=30.0) as client:
            while True:
                try:
                    answer = client.post(
                        "/v1/models/flight_delays/predict", json={"rows": world.rows[:2]}
                    )
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    strange.append(answer.text)
                    return
                answered.extend(
                    prediction["prediction_id"] for prediction in answer.json()["predictions"]
                )

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    assert server.terminate() == 0
    for thread in threads:
        thread.join(timeout=30)
    server.client.close()
    assert strange == []
    assert len(answered) > 50
    assert set(answered) <= logged(world)


def test_a_worker_whose_supervisor_was_killed_ends_itself(world: World):
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    server = Endpoint(world.settings)
    server.start()
    server.wait_for("/readyz")
    family = server.kill_supervisor()
    server.client.close()
    _, alive = psutil.wait_procs(family, timeout=45)
    assert alive == []


def connect(server: Endpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def answer_of(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of what the server says before it closes."""
    content = b""
    while part := connection.recv(65_536):
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split(b" ")[1]), json.loads(body)


def test_headers_that_do_not_end_are_ended(server: Endpoint) -> None:
    silent, slow, large, wrong = (connect(server) for _ in range(4))
    slow.sendall(b"POST /v1/models/flight_delays/predict HTTP/1.1\r\nHost: x\r\n")
    large.sendall(b"GET /livez HTTP/1.1\r\n" + b"X-Long: %s\r\n" % (b"x" * 1000) * 70)
    wrong.sendall(b"GET /livez\r\nnonsense\r\n\r\n")
    status, refusal = answer_of(large)
    assert (status, refusal["error"]["code"]) == (431, "headers_too_large")
    status, refusal = answer_of(wrong)
    assert (status, refusal["error"]["code"]) == (400, "malformed_http")
    started = time.monotonic()
    while time.monotonic() < started + HEADER_SECONDS - 2:
        slow.sendall(b"X-Drip: y\r\n")
        time.sleep(0.5)
    status, refusal = answer_of(slow)
    assert (status, refusal["error"]["code"]) == (408, "headers_too_slow")
    assert silent.recv(1) == b""
    for connection in (silent, slow, large, wrong):
        connection.close()


def test_a_kept_connection_may_rest_longer_than_headers_may_take(server: Endpoint) -> None:
    connection = connect(server)
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    for pause in (HEADER_SECONDS + 1, 0.0):
        connection.sendall(request)
        content = b""
        while not content.endswith(b"\r\n\r\n\n"):
            content += connection.recv(4096)
        assert content.startswith(b"HTTP/1.1 200")
        time.sleep(pause)
    connection.close()


def test_sighup_replaces_the_worker_before_it_ends_it(server: Endpoint, world: World) -> None:
    before, failures, stop = server.worker().pid, [], threading.Event()
    supervisor = server.processes()[0]

    def call() -> None:
        # As docs/serving-operations.md tells callers to: a connection may be closed in the moment
        # in which it is used.
        with httpx.Client(base_url=server.url, timeout=30.0) as client:
            while not stop.is_set():
                answer, _ = predict(client, world.rows[:1], seconds=20.0)
                if answer is None or answer.status_code != 200:
                    failures.append(repr(answer))

    thread = threading.Thread(target=call)
    thread.start()
    supervisor.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 90
    while server.worker().pid == before or len(supervisor.children()) > 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stop.set()
    thread.join()
    assert failures == []
    server.wait_for("/readyz")
    assert server.predict(world.rows[:1]).status_code == 200
