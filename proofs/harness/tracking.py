"""MLflow for a world: its versions in the registry, and the tracking server as the platform runs
it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress

import httpx
import psutil

from cli.platform.environment import mlflow_file, process_environment
from cli.platform.processes import platform_processes
from include.errors import PlatformError
from include.files import sqlite_url
from include.settings import Settings
from include.tls import trusted
from proofs.harness.registered import register
from proofs.harness.world import World

# Its database is made first, which takes more than a minute where many other processes run.
START_SECONDS = 240.0


def with_registry(world: World, numbers: Iterable[int]) -> Settings:
    """The world's settings with MLflow in the file that the platform's own server uses, where these
    versions are registered and accepted, the last one as challenger.
    """
    path = mlflow_file(world.settings)
    path.parent.mkdir(exist_ok=True)
    settings = world.settings.model_copy(update={"mlflow_tracking_uri": sqlite_url(path)})
    for number in numbers:
        register(settings, world, number)
    return settings


class TrackingServer:
    """The platform's MLflow server over the home of `settings`, in a process group of its own."""

    def __init__(self, settings: Settings) -> None:
        self._process = next(part for part in platform_processes(settings) if part.name == "mlflow")
        self.url = self._process.address
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; raises `PlatformError` when it does not."""
        process = self._process
        process.directory.mkdir(exist_ok=True)
        process.log.parent.mkdir(parents=True, exist_ok=True)
        with process.log.open("ab") as log:
            self._server = subprocess.Popen(
                process.command,
                cwd=process.directory,
                env=process_environment(process.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                self.kill()
                raise PlatformError(
                    f"MLflow did not answer within {START_SECONDS:g} s. Its log ends with:\n"
                    f"{process.log.read_text(errors='replace')[-1500:]}"
                )
            time.sleep(0.1)

    def answers(self) -> bool:
        """Say whether it is healthy."""
        with suppress(httpx.TransportError):
            answer = httpx.get(
                str(self._process.health_url), trust_env=False, timeout=5.0, verify=trusted()
            )
            return answer.status_code == httpx.codes.OK
        return False

    def kill(self) -> None:
        """kill -9 of the server and of everything that it started."""
        if self._server is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._server.pid).children(recursive=True)
            for part in family:
                with suppress(psutil.NoSuchProcess):
                    part.kill()
        self._server.kill()
        self._server.wait()
        self._server = None
