"""The load: HTTP/1.1 over kept connections, written by hand on asyncio, so that the client costs
little beside any server.

Run as a process of its own: `python -m proofs.bench.serving.load <JSON arguments>` prints one JSON
line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast


@dataclass
class Load:
    """What was seen: answers a second, latencies in milliseconds (of an open loop from the intended
    start), answers other than 200.
    """

    per_second: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    errors: int = 0
    answers: int = 0
    example: str = ""
    seconds: list[float] = field(default_factory=list)

    def finish(self, wall: float) -> dict[str, object]:
        """As JSON."""
        self.seconds.sort()
        self.answers = len(self.seconds)
        self.per_second = self.answers / wall
        if self.seconds:
            self.p50, self.p99 = (
                self.seconds[int(self.answers * share)] * 1000 for share in (0.5, 0.99)
            )
        return {name: value for name, value in asdict(self).items() if name != "seconds"}


class Client(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Cut an answer out of what has come."""
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or self._waiting is None:
            return
        lowered = self._buffer[:head].lower()
        at = lowered.find(b"content-length:")
        length = None if at < 0 else int(lowered[at + 15 : (lowered + b"\r").find(b"\r", at)])
        end = self._chunked_end(head + 4) if length is None else head + 4 + length
        if end < 0 or len(self._buffer) < end:
            return
        status, body = int(self._buffer[9:12]), self._buffer[head + 4 : end]
        self._buffer = self._buffer[end:]
        waiting, self._waiting = self._waiting, None
        if not waiting.done():
            waiting.set_result((status, body))

    def _chunked_end(self, start: int) -> int:
        end = self._buffer.find(b"0\r\n\r\n", start)
        return -1 if end < 0 else end + 5

    def connection_lost(self, error: Exception | None) -> None:
        """Let the waiting request fail."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        assert self.transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiting


async def closed_loop(
    port: int, requests: list[bytes], connections: int, seconds: float
) -> dict[str, object]:
    """Every connection asks as soon as it was answered."""
    load, clients = Load(), await _connect(port, connections)
    started = time.perf_counter()
    end = started + seconds

    async def work(number: int, client: Client) -> None:
        turn = number * 7
        while (sent_at := time.perf_counter()) < end:
            await _one(client, requests[turn % len(requests)], sent_at, load)
            turn += 1

    await asyncio.gather(*(work(number, client) for number, client in enumerate(clients)))
    wall = time.perf_counter() - started
    await _hang_up(clients)
    return load.finish(wall)


async def open_loop(
    port: int, requests: list[bytes], rate: float, connections: int, seconds: float
) -> dict[str, object]:
    """Requests start at a fixed rate, whatever the answers do; a request that finds no free
    connection waits, and its wait counts.
    """
    load, clients = Load(), await _connect(port, connections)
    free: asyncio.Queue[Client] = asyncio.Queue()
    for client in clients:
        free.put_nowait(client)
    started = time.perf_counter()
    tasks: set[asyncio.Task[None]] = set()

    async def one(number: int, intended: float) -> None:
        client = await free.get()
        await _one(client, requests[number % len(requests)], intended, load)
        free.put_nowait(client)

    for number in range(int(rate * seconds)):
        intended = started + number / rate
        if (delay := intended - time.perf_counter()) > 0:
            await asyncio.sleep(delay)
        task = asyncio.create_task(one(number, intended))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    wall = time.perf_counter() - started
    await _hang_up(clients)
    return load.finish(wall)


async def _connect(port: int, connections: int) -> list[Client]:
    loop = asyncio.get_running_loop()
    return [
        (await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(connections)
    ]


async def _hang_up(clients: list[Client]) -> None:
    for client in clients:
        if client.transport is not None:
            client.transport.close()
    await asyncio.sleep(0.01)


async def _one(client: Client, request: bytes, sent_at: float, load: Load) -> None:
    status, body = await client.ask(request)
    load.seconds.append(time.perf_counter() - sent_at)
    if status != 200:
        load.errors += 1
    if not load.example or (status != 200 and load.errors == 1):
        load.example = f"{status} {body[:300].decode(errors='replace')}"


def request_bytes(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A POST of a JSON document."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type:"
        f" application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Run one load."""
    import uvloop

    options = json.loads(sys.argv[1])
    requests = [
        request_bytes(options["path"], line)
        for line in Path(options["bodies"]).read_bytes().splitlines()
    ]
    port, connections, seconds = options["port"], options["connections"], options["seconds"]
    if options.get("rate"):
        work = open_loop(port, requests, options["rate"], connections, seconds)
    else:
        work = closed_loop(port, requests, connections, seconds)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
