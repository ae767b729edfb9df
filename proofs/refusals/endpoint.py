"""The real endpoint for as long as a case needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings

START_SECONDS = 90.0
STOP_SECONDS = 20.0


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Start it on the settings' port and wait until it is alive; stop it and its workers at the
    end.
    """
    address = ["--host", settings.host, "--port", str(settings.serving_port)]
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "serving.service:FlightdeckService",
        *address,
    ]
    environment = {**os.environ, "BENTOML_HOME": str(settings.home / "bentoml")}
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, start_new_session=True)
    try:
        _wait_until_alive(settings, process)
        yield
    finally:
        _stop(process)


def _wait_until_alive(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if (
                httpx.get(f"{settings.serving_url}/livez", timeout=5.0).status_code
                == httpx.codes.OK
            ):
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise PlatformError(
        f"The endpoint did not come alive within {START_SECONDS:g} s (exit code {process.poll()})."
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
