"""A real NATS server with JetStream on a free port, the consumer as its users start it, and what a
producer and a reader do.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from include.settings import PROJECT_ROOT
from proofs.harness.ports import free_port

WAIT_SECONDS = 45.0
REQUESTS, ANSWERS, DEAD = (f"flight_delays-{kind}" for kind in ("requests", "answers", "dead"))
SUBJECT = "flightdeck.flight_delays.requests"
DURABLE = "flightdeck-flight_delays"


class Broker:
    """The server's process; ended by `stop`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        binary = Path(sys.executable).with_name("nats-server")
        command = [
            str(binary),
            "-js",
            "-sd",
            str(folder),
            "-a",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-l",
            str(folder / "nats.log"),
        ]
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(command)
        wait_until(self._listens, "the broker never listened")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def run(self, work: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        """Connect, do something with JetStream, disconnect."""

        async def connected() -> Any:
            client = await nats.connect(self.url)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(connected())

    def publish(self, bodies: Sequence[bytes]) -> None:
        """Put events on the requests' subject; they are stored when this returns."""

        async def work(stream: JetStreamContext) -> None:
            await asyncio.gather(*(stream.publish(SUBJECT, body, timeout=20) for body in bodies))

        self.run(work)

    def messages(self, name: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Headers and documents of everything that a stream holds."""

        async def work(stream: JetStreamContext) -> list[tuple[dict[str, str], dict[str, Any]]]:
            try:
                state = (await stream.stream_info(name)).state
            except NotFoundError:
                return []
            found = []
            for number in range(state.first_seq, state.last_seq + 1):
                message = await stream.get_msg(name, number)
                found.append((dict(message.headers or {}), json.loads(message.data or b"null")))
            return found

        return list(self.run(work))

    def outstanding(self) -> tuple[int, int]:
        """Count the events not delivered yet, and those delivered and not acknowledged."""

        async def work(stream: JetStreamContext) -> tuple[int, int]:
            state = await stream.consumer_info(REQUESTS, DURABLE)
            return state.num_pending or 0, state.num_ack_pending or 0

        pending, unacknowledged = self.run(work)
        return int(pending), int(unacknowledged)

    def stored(self, name: str) -> int:
        """How many messages a stream holds."""

        async def work(stream: JetStreamContext) -> int:
            return (await stream.stream_info(name)).state.messages

        return int(self.run(work))

    def wait_until_done(self) -> None:
        """Until every event is acknowledged."""
        wait_until(lambda: self.outstanding() == (0, 0), "events were never acknowledged")


class Consumer:
    """`flightdeck stream` in a process of its own."""

    def __init__(self, home: Path, url: str) -> None:
        self.log = home / "stream.log"
        self._environment = {
            **os.environ,
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(home),
            "FLIGHTDECK_NATS_URL": url,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start, and wait until it consumes."""
        lines = self._consuming()
        command = [
            sys.executable,
            "-m",
            "cli",
            "stream",
            "flight_delays",
            "--ack-wait",
            "2",
            *options,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=PROJECT_ROOT, env=self._environment, stdout=log, stderr=log
            )
        wait_until(lambda: self._consuming() > lines, f"the consumer never started; see {self.log}")

    def run_until_it_dies(self, moment: str) -> int:
        """`tests.serving.dying_consumer`; how it ended."""
        command = [
            sys.executable,
            "-m",
            "tests.serving.dying_consumer",
            "flight_delays",
            moment,
            "--ack-wait",
            "2",
        ]
        with self.log.open("ab") as log:
            return subprocess.run(
                command,
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                check=False,
            ).returncode

    def _consuming(self) -> int:
        return self.log.read_text().count("consumes") if self.log.exists() else 0

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=20)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=40)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def event(identifier: str, rows: Sequence[dict[str, Any]]) -> bytes:
    """The document of an event."""
    return json.dumps({"event_id": identifier, "rows": list(rows)}).encode()
