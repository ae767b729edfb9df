"""The endpoint as the platform runs it, in a process group of its own, with the means to hurt it."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.platform.environment import process_environment
from cli.platform.processes import platform_processes
from include.errors import PlatformError
from include.settings import PREFIX, PROJECT_ROOT, Settings
from proofs.harness.world import USE_CASE

START_SECONDS = 120.0
STOP_SECONDS = 40.0
MEETINGS = 10


class Endpoint:
    """`changes` are environment variables over the platform's own; with `bentoml` it runs `bentoml
    serve` instead.

    Start, kill and look from one thread.
    """

    def __init__(self, settings: Settings, *, bentoml: bool = False, **changes: str) -> None:
        self.settings = settings
        self.bentoml = bentoml
        self.url = settings.serving_url
        self.log = settings.home / "serving.log"
        self.changes = changes
        self.client = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the platform's serving process and return at once."""
        serving = next(
            process for process in platform_processes(self.settings) if process.name == "serving"
        )
        environment = process_environment({**serving.environment, **self.changes})
        command = self._bentoml() if self.bentoml else serving.command
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _bentoml(self) -> tuple[str, ...]:
        address = ("--host", self.settings.host, "--port", str(self.settings.serving_port))
        return (
            sys.executable,
            "-m",
            "bentoml",
            "serve",
            "serving.service:FlightdeckService",
            *address,
        )

    def wait_for(self, path: str, status: int = 200, seconds: float = START_SECONDS) -> float:
        """Poll a path until every worker that is met answers with a status; the seconds that took."""
        started = time.monotonic()
        met, seen = 0, 0
        while time.monotonic() < started + seconds:
            with suppress(httpx.TransportError):
                seen = self.client.get(path, headers={"Connection": "close"}).status_code
                met = met + 1 if seen == status else 0
                if met == MEETINGS:
                    return time.monotonic() - started
            time.sleep(0.05)
        raise PlatformError(
            f"{self.url}{path} did not answer {status} within {seconds:g} s but {seen};"
            f" log:\n{self.tail()}"
        )

    def wait_for_version(self, version: int, seconds: float = START_SECONDS) -> float:
        """Poll until a version serves, as every worker says that is met; the seconds that took."""
        started = time.monotonic()
        met = 0
        while time.monotonic() < started + seconds:
            with suppress(httpx.TransportError):
                met = met + 1 if self.model()["version"] == version else 0
                if met == MEETINGS:
                    return time.monotonic() - started
            time.sleep(0.05)
        raise PlatformError(
            f"version {version} did not serve within {seconds:g} s: {self.model()};"
            f" log:\n{self.tail()}"
        )

    def model(self) -> dict[str, Any]:
        """What `GET /v1/models` says about the use case, asked on a connection of its own: any
        worker may answer.
        """
        answer = self.client.get("/v1/models", headers={"Connection": "close"}).json()
        return next(model for model in answer["models"] if model["use_case"] == USE_CASE)

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it, supervisor first."""
        if self._process is None or self._process.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self._process.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        return []

    def workers(self) -> list[psutil.Process]:
        """The processes that answer and are up."""
        return [process for process in self.processes()[1:] if _answers(process)]

    @property
    def running(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 of all its processes at once."""
        for process in reversed(self.processes()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait(timeout=STOP_SECONDS)

    def stop(self) -> None:
        """The polite way, and the other one for what outlives it."""
        below = self.processes()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_SECONDS)
        for process in psutil.wait_procs(below, timeout=5)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait(timeout=STOP_SECONDS)

    def close(self) -> None:
        """Stop it and the client."""
        self.stop()
        self.client.close()

    def tail(self, characters: int = 2000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""


def _answers(process: psutil.Process) -> bool:
    """A worker has loaded a model library; supervisors and resource trackers have not, and a trial
    is no worker.
    """
    try:
        if "serving.models.probation" in process.cmdline():
            return False
        return any("xgboost" in region.path for region in process.memory_maps())
    except (psutil.Error, OSError):
        return False


def overlay(folder: Path, content: str) -> dict[str, str]:
    """The environment variable that gives an endpoint another specification."""
    path = folder / "overlay.json"
    path.write_text(content)
    return {f"{PREFIX}SPEC_OVERLAY": str(path)}
