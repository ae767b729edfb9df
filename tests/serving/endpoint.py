"""The endpoint as its users start it, in a process group of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from include.settings import PROJECT_ROOT
from tests.ports import free_port

START_SECONDS = 90.0


class Endpoint:
    """A BentoML server in a process group of its own. `client` speaks to it."""

    def __init__(
        self, home: Path, port: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.port = port or free_port()
        self.home = home
        self.environment = environment or {}
        self.service: str | None = None
        """What `bentoml serve` is to serve; None: the endpoint runs as the platform runs it."""
        self.folder = PROJECT_ROOT
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=30.0)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the supervisor runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until the process is alive (not: ready)."""
        serving = ["cli", "serve"] if self.service is None else ["bentoml", "serve", self.service]
        command = [sys.executable, "-m", *serving, "--host", "127.0.0.1", "--port", str(self.port)]
        environment = {
            **os.environ,
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(self.home),
            "FLIGHTDECK_SERVING_PORT": str(self.port),
            "BENTOML_HOME": str(self.home / "bentoml"),
            **self.environment,
        }
        with (self.home / "serving.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for("/livez")

    def wait_for(self, path: str, status: int = 200) -> None:
        """Poll a path until it answers with a status."""
        deadline = time.monotonic() + START_SECONDS
        seen: Any = None
        while time.monotonic() < deadline:
            try:
                seen = self.client.get(path).status_code
            except httpx.TransportError as error:
                seen = error
            if seen == status:
                return
            time.sleep(0.1)
        raise AssertionError(
            f"{path} never answered {status}, last: {seen};"
            f" log:\n{(self.home / 'serving.log').read_text()[-3000:]}"
        )

    def wait_for_version(self, version: int | None) -> float:
        """Poll until a version serves; seconds that took."""
        started = time.monotonic()
        while time.monotonic() < started + START_SECONDS:
            if self.model()["version"] == version:
                return time.monotonic() - started
            time.sleep(0.05)
        raise AssertionError(f"version {version} never served: {self.model()}")

    def model(self) -> dict[str, Any]:
        """The status of flight_delays."""
        status: dict[str, Any] = self.client.get("/v1/models").json()["models"][0]
        return status

    def predict(self, rows: list[dict[str, Any]]) -> httpx.Response:
        """`POST /v1/models/flight_delays/predict`."""
        return self.client.post("/v1/models/flight_delays/predict", json={"rows": rows})

    def worker(self) -> psutil.Process:
        """The one process that has the model."""
        assert self._process is not None
        return max(
            psutil.Process(self._process.pid).children(recursive=True),
            key=lambda child: child.memory_info().rss,
        )

    def kill(self) -> None:
        """kill -9 of supervisor and worker at once (a worker has a session of its own)."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        for child in children:
            child.kill()
        self._process.kill()
        self._process.wait(timeout=20)
        psutil.wait_procs(children, timeout=20)

    def kill_supervisor(self) -> list[psutil.Process]:
        """kill -9 of the supervisor alone; the workers it leaves."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait(timeout=20)
        return children

    def stop(self) -> None:
        """The polite way."""
        if self._process is not None and self.running:
            self._process.terminate()
            self._process.wait(timeout=30)
