"""Clients that misbehave: some that send a byte now and then, some that hang up before they are
answered.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

from proofs.faults.line import Line
from proofs.harness.endpoint import PREDICT, Endpoint
from proofs.harness.logged import logged_ids, settle
from proofs.harness.traffic import Traffic
from proofs.harness.world import World

SLOW_SECONDS = 13.0


def slow_loris(endpoint: Endpoint, world: World, *, connections: int) -> Line:
    """Half of the connections never end their headers, half promise a body and send a byte a second
    of it.
    """
    address = _address(endpoint)
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        traffic.wait_for(20)
        slow = [_connect(address) for _ in range(connections)]
        for number, connection in enumerate(slow):
            head = _head(1000) if number % 2 else f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n".encode()
            connection.sendall(head)
        started = time.monotonic()
        while time.monotonic() < started + SLOW_SECONDS:
            for number, connection in enumerate(slow):
                with suppress(OSError):
                    connection.sendall(b" " if number % 2 else b"X-A: b\r\n")
            time.sleep(1.0)
        ended = [_ending(connection) for connection in slow]
        traffic.wait_for(50)
        for connection in slow:
            connection.close()
    timed_out = sum(ending in ("408", "closed") for ending in ended)
    left = len(ended) - timed_out
    slow_ended = f"{left} slow connections not ended" if left else "every slow connection ended"
    return Line(
        f"slow-loris: {connections} clients send a byte a second",
        "0 errors for other clients, every slow connection ended",
        f"{sum(traffic.errors.values())} errors for other clients, {slow_ended}",
        f"{len(traffic.answered)} answers to others, slowest {traffic.slowest:.2f} s; they ended"
        f" with: {_counted(ended)}",
    )


def hang_up(endpoint: Endpoint, world: World, *, clients: int) -> Line:
    """Clients send a request, whole or half, and are gone."""
    address = _address(endpoint)
    before = logged_ids(world.settings)
    body = json.dumps({"rows": world.rows[:3]}).encode()
    whole = 0
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        traffic.wait_for(20)
        for number in range(clients):
            connection = _connect(address)
            request = _head(len(body)) + body
            cut = len(request) if number % 2 else len(request) - 20
            whole += number % 2
            connection.sendall(request[:cut])
            if number % 4 == 1:  # a reset, not a polite end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        traffic.wait_for(50)
        ready = endpoint.client.get("/readyz").status_code
    account = settle(world.settings, traffic.answered, before)
    most = 3 * whole
    return Line(
        f"{clients} clients hang up before they are answered",
        "0 errors for other clients, 0 lost, 0 doubled, no more rows logged than were asked: True,"
        " /readyz 200",
        f"{sum(traffic.errors.values())} errors for other clients, {account}, "
        f"no more rows logged than were asked: {account.unasked <= most}, /readyz {ready}",
        f"{account.answered} answers to others; {account.unasked} of {most} rows of whole requests"
        " were logged for nobody",
    )


def _address(endpoint: Endpoint) -> tuple[str, int]:
    parts = urlsplit(endpoint.url)
    return str(parts.hostname), int(parts.port or 80)


def _connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def _head(length: int) -> bytes:
    return (
        f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length:"
        f" {length}\r\n\r\n".encode()
    )


def _ending(connection: socket.socket) -> str:
    """How the server has ended a connection: a status, `closed`, or `open` when it has not."""
    connection.settimeout(1.0)
    try:
        content = connection.recv(4096)
    except TimeoutError:
        return "open"
    except OSError:
        return "closed"
    return content.split(b" ")[1].decode() if content.startswith(b"HTTP/") else "closed"


def _counted(endings: list[str]) -> str:
    return ", ".join(f"{endings.count(ending)} {ending}" for ending in sorted(set(endings)))
