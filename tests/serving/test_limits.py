"""What a caller may not do to the endpoint: endless bodies, slow bodies, too many at once.

Others are answered meanwhile.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from include.inference_log.log import spool_path
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World
from serving.contract.body import MAX_BODY_BYTES, READ_SECONDS
from serving.engine.runtime import IN_FLIGHT_LIMIT

pytestmark = pytest.mark.slow
PREDICT = "/v1/models/flight_delays/predict"


def chunks(body: bytes, size: int = 65_536) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize(
    "path", [PREDICT, "/v1/models/flight_delays/feedback", "/v2/models/flight_delays/infer"]
)
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES + 1, 413), (3 * MAX_BODY_BYTES, 413)])
def test_a_chunked_body_that_announces_no_length_has_the_same_limit(
    endpoint: Endpoint, path: str, size: int, status: int
) -> None:
    answer = endpoint.client.post(
        path, content=chunks(b" " * size), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert "larger than" in answer.text


def test_a_chunked_body_within_the_limit_is_answered(endpoint: Endpoint, world: World) -> None:
    body = json.dumps({"rows": world.rows[:20]}).encode()
    answer = endpoint.client.post(
        PREDICT, content=chunks(body, 7), headers={"Content-Type": "application/json"}
    )
    assert len(answer.json()["predictions"]) == 20


def test_slow_bodies_end_with_408_and_nobody_waits_for_them(
    endpoint: Endpoint, world: World
) -> None:
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length:"
        " 500\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=READ_SECONDS + 10) as slow:
        slow.sendall(head.encode())
        started = time.monotonic()
        assert endpoint.predict(world.rows[:1]).status_code == 200
        assert time.monotonic() - started < READ_SECONDS
        answer = http.client.HTTPResponse(slow)
        answer.begin()
        assert answer.status == 408
        assert json.loads(answer.read())["error"]["code"] == "body_too_slow"


def test_a_client_that_hangs_up_costs_nobody_an_answer(endpoint: Endpoint, world: World) -> None:
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length:"
        " 500\r\n\r\n{"
    )
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as gone:
            gone.sendall(head.encode())
    assert endpoint.predict(world.rows[:1]).status_code == 200
    metrics = endpoint.client.get("/metrics").text
    assert not re.search(r'flightdeck_refusals_total\{[^}]*status="500"', metrics)


def test_too_many_requests_at_once_get_429_and_a_time_to_come_back(
    endpoint: Endpoint, world: World
) -> None:
    body = json.dumps({"rows": world.rows[:1]}).encode()
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length:"
        f" {len(body)}\r\n"
    )
    asked = IN_FLIGHT_LIMIT + 100
    connections = [
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=60) for _ in range(asked)
    ]
    # While somebody else holds the spool's lock, no request with an id is answered, and they pile
    # up.
    spool = sqlite3.connect(spool_path(world.settings), isolation_level=None)
    spool.execute("BEGIN IMMEDIATE")
    try:
        for number, connection in enumerate(connections):
            connection.sendall(f"{head}X-Request-Id: pile-{number}\r\n\r\n".encode() + body)
        time.sleep(0.5)
        spool.execute("ROLLBACK")
        answers = [read(connection) for connection in connections]
    finally:
        spool.close()
        for connection in connections:
            connection.close()
    refused = [(retry, answer) for status, retry, answer in answers if status == 429]
    assert len(refused) >= 50
    assert {(retry, answer["error"]["code"]) for retry, answer in refused} == {
        ("1", "too_many_requests")
    }
    answered = [answer for status, _, answer in answers if status == 200]
    assert len(answered) + len(refused) == asked
    assert len(answered) >= 100
    assert endpoint.predict(world.rows[:1]).status_code == 200


def read(connection: socket.socket) -> tuple[int, str | None, dict[str, Any]]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.headers.get("retry-after"), json.loads(answer.read())
