"""The endpoint as a process: started as the platform starts it, met over HTTP, stopped or
killed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.platform.environment import process_environment
from cli.platform.processes import platform_processes
from include.errors import PlatformError
from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.tls import trusted
from proofs.harness.ports import free_port

GRPC_PORT = f"{PREFIX}GRPC_PORT"
USE_CASE = "flight_delays"
PREDICT = f"/v1/models/{USE_CASE}/predict"
BENTOML_SERVICE = "serving.service:FlightdeckService"
START_SECONDS = 240.0
STOP_SECONDS = 40.0
POLL_SECONDS = 0.05
MEETINGS = 10
"""Answers in a row, each on a connection of its own, after which several workers were all met."""


class Endpoint:
    """An endpoint over the home of `settings`, in a process group of its own; `client` speaks to
    it.

    It listens on `port`, or on a free one. `changes` are environment variables over the platform's
    own. With a `service` it is `bentoml serve SERVICE`, run in `folder`, instead of the platform's
    process. As a context manager it is started at the beginning and closed at the end. Start, kill
    and look from one thread.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        port: int | None = None,
        changes: Mapping[str, str] | None = None,
        service: str | None = None,
        folder: Path = PROJECT_ROOT,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{settings.host}:{self.port}"
        self.settings = settings.model_copy(
            update={"serving_port": self.port, "serving_url": self.url}
        )
        self.log = settings.home / "serving.log"
        self.client = httpx.Client(
            base_url=self.url, timeout=30.0, trust_env=False, verify=trusted()
        )
        self._changes = dict(changes or {})
        self._service = service
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Endpoint:
        with ExitStack() as unless_started:
            unless_started.callback(self.close)
            self.start()
            unless_started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it is alive (not: ready)."""
        self.launch()
        self.wait_for("/livez")

    def launch(self) -> None:
        """Start its process and return at once."""
        serving = next(
            process for process in platform_processes(self.settings) if process.name == "serving"
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self._folder,
                env=process_environment({**serving.environment, **self._changes}),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def command(self) -> tuple[str, ...]:
        """What its supervisor is started with."""
        if self._service is not None:
            return self._bentoml(self._service)
        return next(
            process.command
            for process in platform_processes(self.settings)
            if process.name == "serving"
        )

    def _bentoml(self, service: str) -> tuple[str, ...]:
        address = ("--host", self.settings.host, "--port", str(self.port))
        return (sys.executable, "-m", "bentoml", "serve", service, *address)

    def wait_for(self, path: str, status: int = 200, seconds: float = START_SECONDS) -> float:
        """Poll a path until every worker that is met answers with a status; the seconds that
        took.
        """
        return self._poll(
            f"answer {status} to {path}",
            lambda: self.client.get(path, headers={"Connection": "close"}).status_code,
            status,
            seconds,
        )

    def wait_for_version(self, version: int | None, seconds: float = START_SECONDS) -> float:
        """Poll until a version serves, as every worker says that is met; the seconds that took."""
        return self._poll(
            f"serve version {version}", lambda: self.model()["version"], version, seconds
        )

    def _poll(self, deed: str, look: Callable[[], Any], expected: Any, seconds: float) -> float:
        needed = MEETINGS if self.settings.serving_workers > 1 else 1
        started, meetings, seen = time.monotonic(), 0, None
        while time.monotonic() < started + seconds:
            try:
                seen = look()
                meetings = meetings + 1 if seen == expected else 0
            except httpx.TransportError as error:
                seen = repr(error)
            if meetings == needed:
                return time.monotonic() - started
            time.sleep(POLL_SECONDS)
        raise PlatformError(
            f"The endpoint {self.url} did not {deed} within {seconds:g} s; last seen: {seen}."
            f" Its log ends with:\n{self.tail()}"
        )

    def model(self) -> dict[str, Any]:
        """What `GET /v1/models` says about the use case, asked on a connection of its own: any
        worker may answer.
        """
        answer = self.client.get("/v1/models", headers={"Connection": "close"}).json()
        return next(model for model in answer["models"] if model["use_case"] == USE_CASE)

    def predict(self, rows: list[dict[str, Any]]) -> httpx.Response:
        """The answer to one request of the use case's rows."""
        return self.client.post(PREDICT, json={"rows": rows})

    @property
    def grpc_address(self) -> str:
        """Where it answers gRPC (host:port), by the variable among its changes."""
        try:
            return f"{self.settings.host}:{self._changes[GRPC_PORT]}"
        except KeyError:
            raise PlatformError(
                f"This endpoint answers no gRPC: it was made without {GRPC_PORT} in its changes."
            ) from None

    @property
    def running(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it, supervisor first."""
        if self._process is None or not self.running:
            return []
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self._process.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        return []

    def workers(self) -> list[psutil.Process]:
        """The processes that answer and are up."""
        return [process for process in self.processes()[1:] if _answers(process)]

    def worker(self) -> psutil.Process:
        """The one process that has the model."""
        children = [child for child in self.processes()[1:] if not _is_child_of_worker(child)]
        return max(children, key=_resident)

    def kill(self) -> None:
        """kill -9 of all its processes at once (a worker has a session of its own)."""
        family = self.processes()
        for process in reversed(family):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()
        psutil.wait_procs(family, timeout=STOP_SECONDS)

    def kill_supervisor(self) -> list[psutil.Process]:
        """kill -9 of the supervisor alone; the workers it leaves."""
        supervisor, *workers = self.processes()
        supervisor.kill()
        self._reap()
        return workers

    def terminate(self) -> int | None:
        """SIGTERM to the supervisor; its exit code."""
        if self._process is not None:
            self._process.terminate()
        return self._reap()

    def stop(self) -> None:
        """The polite way, and the other one for what outlives it."""
        family = self.processes()
        if family:
            with suppress(subprocess.TimeoutExpired):
                self.terminate()
        for process in psutil.wait_procs(family, timeout=5)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()

    def close(self) -> None:
        """Stop it and the client."""
        self.stop()
        self.client.close()

    def tail(self, characters: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _reap(self) -> int | None:
        return None if self._process is None else self._process.wait(timeout=STOP_SECONDS)


def _resident(process: psutil.Process) -> int:
    """Bytes in memory; none of one that has ended meanwhile."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _is_child_of_worker(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:  # it is ending, or has ended and nobody has asked for its exit code yet
        return False
    return not {"serving.models.probation", "serving.models.shadow_process"}.isdisjoint(command)


def _answers(process: psutil.Process) -> bool:
    """A worker has loaded a model library; supervisors and resource trackers have not, and neither
    a probation nor a shadow is a worker.
    """
    try:
        if _is_child_of_worker(process):
            return False
        return any("xgboost" in region.path for region in process.memory_maps())
    except (psutil.Error, OSError):
        return False


def overlay(folder: Path, content: str) -> dict[str, str]:
    """The environment variable that gives an endpoint another specification."""
    path = folder / "overlay.json"
    path.write_text(content)
    return {f"{PREFIX}SPEC_OVERLAY": str(path)}
